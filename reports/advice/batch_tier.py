"""Calls that nobody waits for, of models whose makers sell the same answers for less when they may take their time."""

from __future__ import annotations

from collections.abc import Iterator

from core import figures
from metering.query.candidates import Burst, Sold, Source, calls_in_bursts, sources_in_bursts, work_of_source
from metering.query.labels import GroupValue, name_refs
from reports.advice.kind import Context, Finding, Kind, Piece, Work
from reports.advice.models_used import cost_as, rates_of
from reports.models import Effort

TIER = "batch"
# A tenth of the quarters of 30 days.
BURST = Burst(together=20, share_percent=80, busy_quarters=288)
_DIMENSIONS = ("api_key", "feature", "provider", "model")


def find(context: Context) -> Iterator[Finding]:
    sources = sources_in_bursts(context.organization_id, context.start, context.end, BURST)
    if not sources:
        return
    names = name_refs(context.organization_id, {name: {getattr(one, name) for one in sources} for name in _DIMENSIONS})
    for source in sources:
        named = {name: names[name][getattr(source, name)] for name in _DIMENSIONS}
        if named["model"].label is None:
            continue
        sold = Sold(named["provider"].label, named["model"].label)
        pieces = _pieces(context, source, sold)
        if pieces:
            yield _finding(context, source, sold, named, pieces)


def _pieces(context: Context, source: Source, sold: Sold) -> list[Piece]:
    pieces = []
    for call in calls_in_bursts(context.organization_id, context.start, context.end, source, BURST.together):
        would = cost_as(context, call, sold, TIER)
        if would is not None and would < call.cost_nanos:
            pieces.append(Piece(call.event_id, call.occurred_at, call.cost_nanos, would))
    return pieces


def _finding(
    context: Context, source: Source, sold: Sold, named: dict[str, GroupValue], pieces: list[Piece]
) -> Finding:
    calls = figures.tokens(len(pieces))
    cost = sum(piece.now_nanos or 0 for piece in pieces)
    would = sum(piece.would_nanos or 0 for piece in pieces)
    whose = [
        f"the key {named['api_key'].label or 'that is gone'}" if source.api_key else "no key",
        *([f"the feature {named['feature'].label}"] if named["feature"].label else []),
    ]
    return Finding(
        subject="|".join(str(number) for number in (source.api_key, source.feature, source.provider, source.model)),
        title=f"Send {calls} calls of {sold.model} by the batch tier",
        text=(
            f"{calls} calls of {sold.model} from {' and '.join(whose)} came in bursts, unstreamed and outside of any"
            f" chat: it seems that nobody waits for them. They cost {figures.money(cost)}; by the batch tier, which"
            f" answers within a day, the same calls would have cost {figures.money(would)}."
        ),
        pieces=pieces,
        effort=Effort.MEDIUM,
        terms=(
            ("Together", f"{BURST.together} calls or more of the same key, feature and model in a quarter of an hour"),
            ("Mostly", f"at least {BURST.share_percent}% of all calls of that key, feature and model come so"),
            ("Seldom", f"in at most {BURST.busy_quarters} of the window's quarters of an hour, a tenth of them"),
            ("Nobody waits", "not streamed, in no chat, of the ordinary tier"),
            ("Priced", "each call's own tokens at what the batch tier cost the organization at that moment"),
            ("Rates", f"by batch, {rates_of(context, sold, ('input', 'cache_read', 'output'), TIER)}"),
        ),
        caveat=(
            "Batches are answered within 24 hours, mostly sooner, and are sent another way than single calls. Where the"
            " next step needs the answer within minutes, leave these calls as they are."
        ),
    )


def work(context: Context, subject: str) -> Work:
    """All calls of the key, feature and model, of whichever tier."""
    source = Source(*(int(part) for part in subject.split("|")))
    found = work_of_source(context.organization_id, context.start, context.end, source)
    return Work(found.calls, found.cost_nanos)


KIND = Kind(
    name="batch_tier",
    label="Batch tier",
    icon="clock",
    about="Calls in bursts that nobody seems to wait for, of models that cost less by batch.",
    find=find,
    work=work,
    unit="call of this key, feature and model",
)
