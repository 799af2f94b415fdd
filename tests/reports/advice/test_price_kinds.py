"""Advice that changes what the same calls cost: what it finds, what it leaves, and savings as if repriced by hand."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.audit import Actor
from accounts.models import Organization
from billing.subscriptions import start_subscription
from core.tenancy import organization_scope
from metering.events import Usage, UsageEvent
from metering.pipeline import Sender
from metering.pricing.overrides import rate, set_override
from reports.advice import batch_tier, kind_of, model_switch
from reports.advice.kind import Finding
from reports.advice.prompt_caching import BLOCK, cached
from reports.advice.smaller_models import SMALLER, smaller_than
from tests.cast import make_key
from tests.reports.advice.making import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    call,
    context_of,
    find,
    nanos,
    set_prices,
    short_calls,
    write,
)

pytestmark = pytest.mark.django_db
AT = NOW - 10 * DAY
SHORT = Usage(input=500, output=40)


def saved(finding: Finding) -> int:
    return sum((piece.now_nanos or 0) - (piece.would_nanos or 0) for piece in finding.pieces)


def priced_kinds() -> list[str]:
    return ["model_switch", "batch_tier", "prompt_caching", "committed_spend", "plan_fit"]


# ── A smaller model ──


def test_short_calls_are_repriced_one_by_one(acme: Organization) -> None:
    set_prices()
    events = short_calls(25, AT)
    write(acme, [*events, call("long", AT, Usage(input=9_000, output=40))])
    (finding,) = find(acme, "model_switch")
    assert finding.title == "Move 25 short calls from gpt-4o to gpt-4o-mini"
    assert [(p.id, p.now_nanos, p.would_nanos) for p in finding.pieces] == [
        (event.event_id, nanos("gpt-4o", event.usage), nanos("gpt-4o-mini", event.usage))
        for event in events
        if event.usage is not None
    ]
    with organization_scope(acme.pk):
        work = model_switch.work(context_of(acme), finding.subject)
    assert (work.units, work.nanos) == (25, sum(p.now_nanos or 0 for p in finding.pieces))


@pytest.mark.parametrize(
    "change",
    [
        {"usage": Usage(input=1_001, output=40)},
        {"usage": Usage(input=500, cache_read=501, output=40)},
        {"usage": Usage(input=500, output=301)},
        {"usage": Usage(input=500)},
        {"usage": Usage(input=500, output=40, reasoning=1)},
        {"usage": Usage(input=500, output=40, web_searches=1)},
        {"tool": "web_search"},
        {"service_tier": "batch"},
        {"detail": {"files": [{"id": "f", "name": "f.pdf"}]}},
        {"detail": {"finish_reason": "length"}},
        {"detail": {"finish_reason": "tool_calls"}},
        {"status": "error"},
        {"model": "gpt-4o-mini"},
        {"model": "claude-sonnet-4-5"},
    ],
    ids=str,
)
def test_whatever_is_not_simple_is_left(acme: Organization, change: dict[str, Any]) -> None:
    """The last two have no smaller model that is priced."""
    set_prices()
    given = {"usage": SHORT, **change}
    write(acme, [call(f"c{number}", AT + number * HOUR, **given) for number in range(30)])
    assert find(acme, "model_switch") == []


def test_before_the_window_and_today_count_for_nothing(acme: Organization) -> None:
    set_prices()
    write(acme, [*short_calls(30, NOW - 33 * DAY, "old"), *[
        call(f"new{number}", NOW - number * MINUTE, SHORT) for number in range(30)
    ]])  # fmt: skip
    assert find(acme, "model_switch") == []


def test_another_organizations_calls_are_not_looked_at(acme: Organization, globex: Organization) -> None:
    set_prices()
    write(globex, short_calls(30, AT))
    assert find(acme, "model_switch") == []


def test_models_of_a_day_are_of_their_family() -> None:
    assert smaller_than("gpt-4o-2024-05-13") == "gpt-4o-mini"
    assert smaller_than("gpt-4o-mini") is None
    assert not set(SMALLER) & {name for name in SMALLER.values() if SMALLER.get(name) == name}


def test_every_price_of_the_window_is_said_and_used(acme: Organization) -> None:
    """A price agreed on in the middle of it holds from then on."""
    set_prices()
    agreed = [rate("input", Decimal("0.1"))]
    by = Actor.of_command("test")
    set_override(by, acme.pk, provider="openai", model="gpt-4o-mini", rates=agreed, valid_from=AT + 10 * HOUR)
    write(acme, short_calls(25, AT))
    (finding,) = find(acme, "model_switch")
    assert dict(finding.terms)["Rates"] == (
        "gpt-4o-mini, a million tokens: input $0.15, cached input $0.075, output $0.6;"
        " from 10 November, 22:00 on input $0.1, cached input $0.075, output $0.6"
    )
    assert [piece.would_nanos for piece in finding.pieces] == [
        (400 + n) * (150 if n < 10 else 100) + (20 + n) * 600 for n in range(25)
    ]


# ── By batch ──


def burst(count: int, at: dt.datetime, **fields: Any) -> list[UsageEvent]:
    given = {"feature": "digest", "detail": {"streamed": False}, **fields}
    return [
        call(f"{at:%d%H}-{number}", at + number * 20 * SECOND, Usage(input=900 + number, output=90), **given)
        for number in range(count)
    ]


def test_bursts_are_repriced_at_the_batch_tier(acme: Organization) -> None:
    set_prices()
    key = make_key(acme, name="nightly").row
    events = [event for day in range(3) for event in burst(22, AT + day * DAY)]
    write(acme, events, Sender(api_key_id=key.pk))
    (finding,) = find(acme, "batch_tier")
    assert "the key nightly and the feature digest" in finding.text
    assert {p.id for p in finding.pieces} == {event.event_id for event in events}
    assert saved(finding) == sum(
        nanos("gpt-4o", event.usage) - nanos("gpt-4o", event.usage, "batch") for event in events if event.usage
    )
    with organization_scope(acme.pk):
        assert batch_tier.work(context_of(acme), finding.subject).units == 66


@pytest.mark.parametrize(
    "change",
    [
        {"count": 19},
        {"chat": "c"},
        {"detail": {"streamed": True}},
        {"detail": None, "time_to_first_token_ms": 200},
        {"service_tier": "batch"},
        {"model": "gpt-4o-mini"},
    ],
    ids=str,
)
def test_calls_that_somebody_waits_for_are_no_batch(acme: Organization, change: dict[str, Any]) -> None:
    """Too few at once, in a chat, streamed, sent by batch already, of a model without such a tier."""
    set_prices()
    write(acme, burst(**{"count": 40, "at": AT, **change}))
    assert find(acme, "batch_tier") == []


def test_work_that_goes_on_all_day_is_no_batch(acme: Organization) -> None:
    """Half of it comes together; the other half one by one."""
    set_prices()
    write(acme, [*burst(30, AT), *[
        call(f"x{n}", AT + n * HOUR, SHORT, feature="digest", detail={"streamed": False}) for n in range(30)
    ]])  # fmt: skip
    assert find(acme, "batch_tier") == []


# ── From the cache ──


def talk(model: str, *prompts: int, gap: dt.timedelta = MINUTE, chat: str = "c", **usage: int) -> list[UsageEvent]:
    return [
        call(f"{chat}{number}", AT + number * gap, Usage(input=prompt, output=50, **usage), model, chat=chat)
        for number, prompt in enumerate(prompts)
    ]


def test_where_writing_costs_nothing_each_prompt_is_read_from_the_second_on(acme: Organization) -> None:
    set_prices()
    write(acme, talk("gpt-4o", 2_000, 2_300, 2_600))
    (finding,) = find(acme, "prompt_caching")
    # 2,000 and 2,300 in whole blocks of 128.
    assert [p.would_nanos for p in finding.pieces] == [
        nanos("gpt-4o", Usage(input=2_000, output=50)),
        nanos("gpt-4o", Usage(input=2_300 - 1_920, cache_read=1_920, output=50)),
        nanos("gpt-4o", Usage(input=2_600 - 2_176, cache_read=2_176, output=50)),
    ]
    assert finding.pieces[2].note == "2,176 of 2,600 tokens read from the cache"


def test_where_writing_costs_it_is_paid_before_anything_is_read(acme: Organization) -> None:
    set_prices()
    model = "claude-sonnet-4-5"
    write(acme, talk(model, 2_000, 2_300, 2_600, 2_900))
    (finding,) = find(acme, "prompt_caching")
    would = [
        Usage(input=2_000, output=50),
        Usage(cache_write_5m=2_300, output=50),
        Usage(cache_read=2_176, cache_write_5m=2_600 - 2_176, output=50),
        Usage(cache_read=2_560, cache_write_5m=2_900 - 2_560, output=50),
    ]
    assert [p.would_nanos for p in finding.pieces] == [nanos(model, usage) for usage in would]
    assert [p.now_nanos for p in finding.pieces] == [
        nanos(model, Usage(input=n, output=50)) for n in (2_000, 2_300, 2_600, 2_900)
    ]
    # The second call costs more than before, and is listed.
    assert (finding.pieces[1].would_nanos or 0) > (finding.pieces[1].now_nanos or 0)


@pytest.mark.parametrize(
    "events",
    [
        talk("gpt-4o", 1_000, 1_400, 1_900)[:1],
        talk("gpt-4o", 900, 950, 1_010),
        talk("gpt-4o", 2_000, 2_049),
        talk("gpt-4o", 2_000, 2_300, 2_600, gap=6 * MINUTE),
        talk("gpt-4o-mini", 300, 700, 1_000),
        [*talk("gpt-4o", 2_000, chat="a"), *talk("gpt-4o", 2_300, chat="b")],
    ],
    ids=["alone", "short", "no room for the answer", "too late", "small", "other chats"],
)
def test_talks_that_do_not_go_on_have_nothing_to_cache(acme: Organization, events: list[UsageEvent]) -> None:
    set_prices()
    write(acme, events)
    assert find(acme, "prompt_caching") == []


@given(
    st.integers(0, 5_000), st.integers(0, 5_000), st.integers(0, 2_000), st.integers(0, 2_000), st.integers(0, 9_000),
    st.booleans(),
)  # fmt: skip
def test_a_cached_prompt_is_as_long_as_it_was(
    fresh: int, read: int, written: int, hour: int, prefix: int, is_written: bool
) -> None:
    usage = Usage(input=fresh, cache_read=read, cache_write_5m=written, cache_write_1h=hour, output=7)
    prefix = min(prefix, usage.prompt_tokens)
    would = cached(usage, prefix, is_written=is_written)
    assert (would.prompt_tokens, would.output) == (usage.prompt_tokens, 7)
    assert min(would.input, would.cache_read, would.cache_write_5m, would.cache_write_1h) >= 0
    assert would.cache_read >= max(read, prefix - BLOCK + 1)


# ── A plan, a commitment ──


def test_a_plan_is_weighed_by_its_fee_and_what_goes_beyond(acme: Organization) -> None:
    """Too much for the free plan; what is paid with credits costs what the calls do, and no fee."""
    set_prices()
    usage = Usage(input=5_000, output=40)
    start_subscription(acme, "developer", by=Actor.of_command("test"), at=NOW - 115 * DAY)
    events = [call(f"p{number}", NOW - number * DAY, usage) for number in range(115)]
    write(acme, events)
    (finding,) = find(acme, "plan_fit")
    assert finding.title == "Change the plan from Developer to Pay as you go"
    fee = 29 * 10**9
    assert len(finding.pieces) == 3
    for piece in finding.pieces:
        days = (dt.date.fromisoformat(piece.id[-10:]) - dt.date.fromisoformat(piece.id[:10])).days + 1
        # Nothing goes beyond five million tokens; without any, all of it does.
        assert (piece.now_nanos, piece.would_nanos) == (fee, days * nanos("gpt-4o", usage))
        assert piece.at.astimezone(acme.zone).replace(tzinfo=None).isoformat() == f"{piece.id[:10]}T00:00:00"
    assert finding.estimate is not None
    assert finding.estimate.low <= finding.estimate.likely <= finding.estimate.high < fee
    assert kind_of("plan_fit").needs == "see_money"


def test_a_plan_that_fits_is_left(acme: Organization) -> None:
    set_prices()
    start_subscription(acme, "prepaid", by=Actor.of_command("test"), at=NOW - 95 * DAY)
    write(acme, [call(f"p{number}", NOW - number * DAY, Usage(input=10**6, output=10)) for number in range(95)])
    assert find(acme, "plan_fit") == []


def test_a_commitment_breaks_even_above_what_stays_unused(acme: Organization) -> None:
    """$5 a day, and nothing on two of them: 28 days of 30."""
    set_prices()
    usage = Usage(input=2_000_000)
    write(acme, [call(f"d{day}", NOW - day * DAY, usage) for day in range(1, 31) if day not in (4, 9)])
    (finding,) = find(acme, "committed_spend")
    assert "On 28 of 30 days at least $5.00 went to openai: $150.00 in 30 days" in finding.text
    assert ("Breaks even", "at a discount of 6.7%") in finding.terms
    assert ("Worth", "$1.50 a month for each percent of discount above that") in finding.terms
    # What is not known is not stated.
    assert finding.estimate is None
    assert {piece.would_nanos for piece in finding.pieces} == {None}
    assert sum(piece.now_nanos or 0 for piece in finding.pieces) == 28 * nanos("gpt-4o", usage)


@pytest.mark.parametrize("tokens", [1_000, 2_000_000], ids=["little", "seldom"])
def test_spend_that_is_small_or_comes_and_goes_is_no_base(acme: Organization, tokens: int) -> None:
    set_prices()
    days = range(1, 31) if tokens == 1_000 else range(1, 31, 2)
    write(acme, [call(f"d{day}", NOW - day * DAY, Usage(input=tokens)) for day in days])
    assert find(acme, "committed_spend") == []


def test_without_usage_nothing_is_advised(acme: Organization) -> None:
    assert [find(acme, name) for name in priced_kinds()] == [[]] * 5
