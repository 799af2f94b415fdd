"""Retry loops and duplicates: which calls count as made again, which do not, and that they are all the savings are."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Organization, Project
from core.tenancy import organization_scope, unscoped
from metering.events import Usage, UsageEvent
from metering.query.repeats import LOOP_CALLS, Repeat, failed_repeats, paid_repeats
from reports.advice import kind_of
from reports.advice.kind import Work
from reports.advice.records import evidence_of, keep
from reports.models import Insight
from tests.metering.query.priced_usage import set_prices, write_rated
from tests.reports.advice.waste import AT, END, MINUTE, SECOND, START, call, context_of, costs, find, saved, work

pytestmark = pytest.mark.django_db
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def prices(website: Project) -> None:
    set_prices()


def some(prefix: str, number: int, gap: dt.timedelta, *, prompt: int = 900, **fields: Any) -> list[UsageEvent]:
    """Calls with the same prompt and answers of different lengths."""
    return [
        call(f"{prefix}{place}", AT + place * gap, Usage(input=prompt, output=40 + place), **fields)
        for place in range(number)
    ]


def repeats(organization: Organization) -> list[Repeat]:
    with organization_scope(organization.pk):
        return paid_repeats(organization.pk, START, END)


def test_a_loop_costs_all_but_its_first_call(acme: Organization) -> None:
    loop = some("loop", 12, 4 * SECOND, chat="c1", message="m1")
    other = some("other", 3, 4 * SECOND, chat="c2", prompt=1_000)
    grown = [call(f"g{n}", AT + n * SECOND, Usage(input=900 + n, output=9), chat="c3") for n in range(9)]
    cost = costs(write_rated(acme.pk, [*loop, *other, *grown]))
    (finding,) = find(acme, "retry_loops")
    assert {piece.id for piece in finding.pieces} == {f"loop{n}" for n in range(1, 12)}
    assert saved(finding) == sum(cost[f"loop{n}"] for n in range(1, 12)) > 0
    assert finding.title == "Stop what looks like a retry loop in Website"
    assert "12 times in a row: 11 paid calls" in finding.text
    assert finding.pieces[0].note.startswith("call 12 of 12")
    assert work(acme, "retry_loops", finding.subject) == Work(24, saved(finding))
    (duplicates,) = find(acme, "duplicates")
    assert {piece.id for piece in duplicates.pieces} == {"other1", "other2"}
    assert saved(duplicates) == cost["other1"] + cost["other2"]
    # Concluded, and said so.
    assert duplicates.title == "2 requests in Website look like duplicates"
    assert "1 request looks as if sent and paid again" in duplicates.text
    assert "seems to have sent" in finding.text


@pytest.mark.parametrize(
    "change",
    [
        {"chat": "c2"}, {"message": "m2"}, {"user": "u2"}, {"feature": "search"}, {"tool": "t"}, {"model": "long"},
        {"end_user": "e2"}, {"tags": {"run": "2"}}, {"detail": {"input_parts": {"message": 900}}},
        {"detail": {"files": [{"id": "f", "tokens": 5}]}}, {"usage": Usage(input=901, output=40)},
        {"usage": Usage(input=900, cache_read=1, output=40)}, {"occurred_at": AT + 11 * MINUTE + SECOND},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_differs_makes_it_another_request(acme: Organization, change: dict[str, Any]) -> None:
    first = call("first", AT, Usage(input=900, output=40), chat="c1", message="m1", user="u1")
    again = msgspec.structs.replace(first, event_id="again", occurred_at=AT + 10 * MINUTE, body_hash=b"b" * 16)
    write_rated(acme.pk, [first, msgspec.structs.replace(again, **change)])
    assert repeats(acme) == []
    write_rated(acme.pk, [msgspec.structs.replace(again, event_id="equal", occurred_at=AT + MINUTE)])
    assert [row.event_id for row in repeats(acme)] == ["equal"]


def test_what_a_cache_answered_is_the_same_prompt(acme: Organization) -> None:
    first = call("first", AT, Usage(input=900, output=40), chat="c1")
    write_rated(acme.pk, [first, call("again", AT + SECOND, Usage(input=100, cache_read=800, output=51), chat="c1")])
    assert [row.event_id for row in repeats(acme)] == ["again"]


def test_without_chat_and_message_a_pair_has_to_agree_in_its_answers_too(acme: Organization) -> None:
    same = [call(f"same{n}", AT + n * MINUTE, Usage(input=900, output=40), user="u1") for n in range(2)]
    short = [call(f"short{n}", AT + n * MINUTE, Usage(input=900, output=9), user="u3") for n in range(2)]
    write_rated(acme.pk, [*same, *short, *some("differ", 3, MINUTE, user="u2")])
    assert [row.event_id for row in repeats(acme)] == ["same1"]


def test_who_always_sends_the_same_size_is_in_no_loop(acme: Organization) -> None:
    """A stream of prompts of one size (labels, chunks) is what it is; a loop in a stream of all sizes is one."""
    steady = some("steady", 30, SECOND, user="u1")
    mixed = [call(f"m{n}", AT - MINUTE - n * SECOND, Usage(input=200 + n, output=20), user="u2") for n in range(30)]
    write_rated(acme.pk, [*steady, *mixed, *some("loop", 6, SECOND, user="u2")])
    assert {row.event_id for row in repeats(acme)} == {f"loop{n}" for n in range(1, 6)}


@pytest.mark.usefixtures("in_acme")
def test_what_is_kept_saves_in_a_month_what_its_evidence_cost(acme: Organization) -> None:
    loop = [call(f"l{n}", AT + n * SECOND, Usage(input=50_000, output=30_000), chat="c1") for n in range(6)]
    cost = costs(write_rated(acme.pk, loop))
    keep(context_of(acme), kind_of("retry_loops"))
    insight = Insight.objects.get()
    again = sum(cost[f"l{n}"] for n in range(1, 6))
    assert insight.likely_nanos == insight.now_nanos == again > 1_000_000_000
    assert [(piece.id, piece.now_nanos, piece.would_nanos) for piece in evidence_of(insight)] == [
        (f"l{n}", cost[f"l{n}"], 0) for n in range(1, 6)
    ]


def test_short_prompts_and_silent_models_prove_nothing(acme: Organization) -> None:
    vectors = [call(f"v{n}", AT + n * SECOND, Usage(input=900), user="u1") for n in range(8)]
    write_rated(acme.pk, [*vectors, *some("short", 8, SECOND, prompt=99, chat="c1")])
    assert repeats(acme) == []


def test_failures_in_a_row_are_told_without_a_price(acme: Organization) -> None:
    def failed(prefix: str, number: int, **fields: Any) -> list[UsageEvent]:
        return [
            msgspec.structs.replace(
                call(f"{prefix}{n}", AT + n * 20 * SECOND, Usage(), status="error", **fields), usage=None
            )
            for n in range(number)
        ]

    between = call("ok", AT + 90 * SECOND, Usage(input=50, output=9), chat="c3")
    events = [*failed("loop", 12, chat="c1"), *failed("few", 9, chat="c2"), *failed("cut", 12, chat="c3"), between]
    write_rated(acme.pk, [*events, *failed("outage", 40, user="u1")])
    with organization_scope(acme.pk):
        found = failed_repeats(acme.pk, START, END)
    assert {row.event_id for row in found} == {f"loop{n}" for n in range(1, 12)}
    (finding,) = find(acme, "retry_loops")
    assert "11 calls failed like the one before" in finding.text
    assert {(piece.now_nanos, piece.would_nanos) for piece in finding.pieces} == {(None, None)}
    assert work(acme, "retry_loops", finding.subject).nanos == 0


def test_another_organizations_calls_are_never_compared(acme: Organization, globex: Organization) -> None:
    write_rated(globex.pk, some("theirs", 6, SECOND, chat="c1", project=None))
    assert repeats(acme) == []


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 700), st.sampled_from(["a", "b"]), st.sampled_from([500, 501])), max_size=25))
def test_repeats_are_those_counted_one_by_one(steps: list[tuple[int, str, int]]) -> None:
    """Of any calls, in chats, the runs are those of a plain walk along each chat."""
    with unscoped("made anew for each example"):
        organization = Organization.objects.create(name="Example", slug=f"example-{next(_numbers)}")
    at, events = AT, []
    for number, (gap, chat, prompt) in enumerate(steps):
        at += dt.timedelta(seconds=gap)
        events.append(call(f"e{number}", at, Usage(input=prompt, output=number % 3), chat=chat, project=None))
    cost = costs(write_rated(organization.pk, events)) if events else {}
    expected = dict(_walk(events))
    found = repeats(organization)
    assert {row.event_id: row.is_loop for row in found} == expected
    assert sum(row.cost_nanos or 0 for row in found) == sum(cost[event_id] for event_id in expected)


def _walk(events: list[UsageEvent]) -> list[tuple[str, bool]]:
    found = []
    by_chat = itertools.groupby(sorted(events, key=lambda e: (e.chat, e.occurred_at)), key=lambda e: e.chat)
    for _, chat in by_chat:
        runs: list[list[UsageEvent]] = []
        for event in chat:
            last = runs[-1][-1] if runs else None
            if (
                last and last.usage and event.usage and last.usage.prompt_tokens == event.usage.prompt_tokens
                and event.occurred_at - last.occurred_at <= 10 * MINUTE
            ):  # fmt: skip
                runs[-1].append(event)
            else:
                runs.append([event])
        for run in runs:
            lasted = run[-1].occurred_at - run[0].occurred_at
            is_loop = len(run) >= LOOP_CALLS and lasted <= (len(run) - 1) * MINUTE
            found += [(event.event_id, is_loop) for event in run[1:]]
    return found
