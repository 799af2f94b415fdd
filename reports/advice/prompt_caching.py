"""Chats whose prompts grow by what was said, and are read anew at full price with each message."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

from core import figures
from metering.events import Usage
from metering.pricing.plan import Plan
from metering.query.candidates import Call, Sold, Turn, turns, work_of_talks
from reports.advice.kind import Context, Finding, Kind, Piece, Work
from reports.advice.models_used import Used, cost_as, models_used, named, rates_of, words
from reports.models import Effort

# As providers have it: caches hold for five minutes, begin at 1,024 tokens and grow by 128.
LIFETIME = dt.timedelta(minutes=5)
LEAST_TOKENS = 1_024
BLOCK = 128
# Models that read more than that of their prompts from caches are well used.
MOST_CACHED_PERCENT = 80


class Talk(msgspec.Struct, frozen=True):
    """Calls of a chat one after the other, each within the lifetime of a cache, each prompt with room for all that was
    said before."""

    chat: str
    calls: list[Call]


def find(context: Context) -> Iterator[Finding]:
    for used in models_used(context):
        prompt = used.figures.prompt_tokens
        if not prompt or 100 * used.figures.cache_read >= MOST_CACHED_PERCENT * prompt or not _reads_cost_less(used):
            continue
        writes_cost = _has_rate(used.plan, "cache_write_5m")
        found = [
            (talk, _pieces(context, used.sold, talk, writes_cost))
            for talk in talks(turns(context.organization_id, context.start, context.end, [used.sold]))
        ]
        found = [(talk, pieces) for talk, pieces in found if pieces]
        if found:
            yield _finding(context, used, found, writes_cost)


def talks(every: Iterable[Turn]) -> Iterator[Talk]:
    """Those of two calls and more."""
    chat, calls = "", list[Call]()
    for turn in every:
        if turn.before is not None and calls and _goes_on(turn.before, turn.call):
            calls.append(turn.call)
            continue
        if len(calls) > 1:
            yield Talk(chat, calls)
        chat, calls = turn.chat, [turn.call]
    if len(calls) > 1:
        yield Talk(chat, calls)


def _goes_on(before: Call, call: Call) -> bool:
    """Whether a prompt may begin with the one before and its answer."""
    said = before.usage.prompt_tokens + before.usage.output
    return (
        call.occurred_at - before.occurred_at <= LIFETIME
        and before.usage.prompt_tokens >= LEAST_TOKENS
        and call.usage.prompt_tokens >= said
    )


def _pieces(context: Context, sold: Sold, talk: Talk, writes_cost: bool) -> list[Piece]:
    """Every call of a talk as it would have been, those that cost more included; none where a price is missing.

    Where writing costs, caching begins with the second message, when it shows that a chat goes on: the second call
    writes its prompt, each later one reads the prompt before and writes what is new. Where it costs nothing, the second
    call reads the first.
    """
    pieces = []
    for number, call in enumerate(talk.calls):
        before = talk.calls[number - 1].usage.prompt_tokens if number > (1 if writes_cost else 0) else 0
        is_written = writes_cost and number > 0
        usage = cached(call.usage, before, is_written=is_written)
        would = cost_as(context, msgspec.structs.replace(call, usage=usage), sold)
        if would is None:
            return []
        note = f"{figures.tokens(usage.cache_read)} of {figures.tokens(usage.prompt_tokens)} tokens read from the cache"
        written = usage.cache_write_5m + usage.cache_write_1h
        if written:
            note += f", {figures.tokens(written)} written to it"
        pieces.append(Piece(call.event_id, call.occurred_at, call.cost_nanos, would, note))
    return pieces


def cached(usage: Usage, prefix: int, *, is_written: bool) -> Usage:
    """A prompt whose first `prefix` tokens, in whole blocks, come from a cache that then holds the rest as well, where
    it is written. What was read from a cache anyway is; prompts stay as long as they were."""
    read = max(usage.cache_read, prefix // BLOCK * BLOCK)
    rest = usage.prompt_tokens - read
    if is_written:
        # What was kept for an hour stays so.
        hour = min(usage.cache_write_1h, rest)
        return msgspec.structs.replace(usage, input=0, cache_read=read, cache_write_1h=hour, cache_write_5m=rest - hour)
    written = min(usage.cache_write_5m, rest)
    hour = min(usage.cache_write_1h, rest - written)
    return msgspec.structs.replace(
        usage, input=rest - written - hour, cache_read=read, cache_write_5m=written, cache_write_1h=hour
    )


def _has_rate(plan: Plan, bucket: str) -> bool:
    return any(rate.bucket == bucket and not rate.service_tier for rate in plan.version.rates)


def _reads_cost_less(used: Used) -> bool:
    return _has_rate(used.plan, "cache_read")


def _finding(context: Context, used: Used, found: list[tuple[Talk, list[Piece]]], writes_cost: bool) -> Finding:
    model = used.sold.model
    pieces = list(chain.from_iterable(pieces for _, pieces in found))
    cost = sum(piece.now_nanos or 0 for piece in pieces)
    would = sum(piece.would_nanos or 0 for piece in pieces)
    prompt = sum(call.usage.prompt_tokens for talk, _ in found for call in talk.calls)
    read = sum(call.usage.cache_read for talk, _ in found for call in talk.calls)
    chats = len({talk.chat for talk, _ in found})
    how = (
        "Marking the end of the prompt for the cache from a chat's second message on"
        if writes_cost
        else "Keeping the beginning of the prompt the same from message to message, so that it is found in the cache,"
    )
    written = (
        (
            "Writing",
            "costs more than reading afresh: from the second message on all that is new is written, and counted",
        )
        if writes_cost
        else ("Writing", "costs nothing with this model")
    )
    return Finding(
        subject=named(used.sold.provider, model),
        title=f"Cache what {chats:,} {'chat' if chats == 1 else 'chats'} repeat to {model}",
        text=(
            f"In {chats:,} {'chat' if chats == 1 else 'chats'} with {model} each prompt has room for all that was said"
            f" before, and follows within five minutes; yet {figures.percent(figures.share(read, prompt))} of it was"
            f" read from a cache. {how} would have cost {figures.money(would)} in place of {figures.money(cost)}."
        ),
        pieces=pieces,
        effort=Effort.MEDIUM if writes_cost else Effort.SMALL,
        terms=(
            ("Goes on", "a prompt at least as long as the one before and its answer, within 5 minutes"),
            ("Long enough", f"the prompt before has {LEAST_TOKENS:,} tokens or more; whole blocks of {BLOCK} are read"),
            written,
            (
                "Priced",
                "each call's own tokens, as read, written and new, at what they cost the organization at that moment",
            ),
            ("Rates", rates_of(context, used.sold, ("input", "cache_read", "cache_write_5m", "output"))),
            ("Listed", "every call of these chats, those that would have cost more included"),
        ),
        caveat=(
            "What prompts say is not kept here: that they repeat is judged by their lengths and times. Caches are kept"
            " for about five minutes and are not promised."
        ),
    )


def work(context: Context, subject: str) -> Work:
    """Prompts of all chats with the model."""
    provider, model = words(subject)
    found = work_of_talks(context.organization_id, context.start, context.end, [Sold(provider, model or "")])
    return Work(found.prompt_tokens, found.prompt_nanos)


KIND = Kind(
    name="prompt_caching",
    label="Prompt caching",
    icon="layers",
    about="Chats that send the same beginning again and again, of models that read caches for less.",
    find=find,
    work=work,
    unit="prompt token in chats with this model",
)
