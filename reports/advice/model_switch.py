"""Short, plain calls of a large model, that its maker's smaller model would answer for less."""

from __future__ import annotations

from collections.abc import Iterator

from core import figures
from metering.query.candidates import Simple, Sold, simple_calls, simple_work
from reports.advice.kind import Context, Finding, Kind, Piece, Work
from reports.advice.models_used import Used, cost_as, models_used, named, plan_of, rates_of, words
from reports.advice.smaller_models import smaller_than
from reports.models import Effort

SIMPLE = Simple(prompt_tokens=1_000, answer_tokens=300)
# Of fewer there is no telling what the calls are like.
FEWEST = 20


def find(context: Context) -> Iterator[Finding]:
    for used in models_used(context):
        smaller = smaller_than(used.plan.version.model)
        if smaller is None:
            continue
        target = Sold(used.sold.provider, smaller)
        if plan_of(context, target, context.now) is not None:
            pieces = _pieces(context, used.sold, target)
            if len(pieces) >= FEWEST:
                yield _finding(context, used, target, pieces)


def _pieces(context: Context, sold: Sold, target: Sold) -> list[Piece]:
    """Each simple call, at its own moment's price of the smaller model; those it would have cost less."""
    pieces = []
    for call in simple_calls(context.organization_id, context.start, context.end, [sold], SIMPLE):
        would = cost_as(context, call, target)
        if would is not None and would < call.cost_nanos:
            pieces.append(Piece(call.event_id, call.occurred_at, call.cost_nanos, would))
    return pieces


def _finding(context: Context, used: Used, target: Sold, pieces: list[Piece]) -> Finding:
    model, calls = used.sold.model, figures.tokens(len(pieces))
    saved = sum((piece.now_nanos or 0) - (piece.would_nanos or 0) for piece in pieces)
    cost = sum(piece.now_nanos or 0 for piece in pieces)
    return Finding(
        subject=named(used.sold.provider, model, target.model),
        title=f"Move {calls} short calls from {model} to {target.model}",
        text=(
            f"{calls} of {figures.tokens(used.figures.requests)} calls of {model} had a short prompt and a short"
            f" answer, and nothing that asks for a large model. They cost {figures.money(cost)}; {target.model}, the"
            f" smaller model of the same maker, would have counted the same tokens at {figures.money(cost - saved)}."
        ),
        pieces=pieces,
        effort=Effort.SMALL,
        terms=(
            ("Prompt", f"at most {figures.tokens(SIMPLE.prompt_tokens)} tokens, those read from a cache included"),
            ("Answer", f"1 to {figures.tokens(SIMPLE.answer_tokens)} tokens, finished by the model itself"),
            (
                "Never",
                "tools, files, sound, pictures, web searches, tokens of reasoning, another tier than the ordinary",
            ),
            ("Priced", f"each call's own tokens at what {target.model} cost the organization at that moment"),
            ("Rates", rates_of(context, target, ("input", "cache_read", "output"))),
            ("In place of", f"{used.plan.version.model}, by the table of makers' smaller models"),
        ),
        caveat=(
            "A short call is not always an easy one. Send a sample of these calls to both models and compare the"
            " answers before the switch; a smaller model may also use more tokens for the same answer."
        ),
    )


def work(context: Context, subject: str) -> Work:
    """Simple calls of the larger model and the smaller one together."""
    provider, model, target = words(subject)
    sold = [Sold(provider, model or ""), Sold(provider, target or "")]
    found = simple_work(context.organization_id, context.start, context.end, sold, SIMPLE)
    return Work(found.calls, found.cost_nanos)


KIND = Kind(
    name="model_switch",
    label="Smaller model",
    icon="arrow-left-right",
    about="Short, plain calls of a large model, where its maker's smaller model costs less.",
    find=find,
    work=work,
    unit="simple call of either model",
)
