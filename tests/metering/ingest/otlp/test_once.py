"""One call, however many spans report it, in whatever order and requests, is one event."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.utils.timezone import now
from starlette.testclient import TestClient

from accounts.models import Organization
from core.tenancy import organization_scope
from metering.edge import App
from metering.ingest.otlp import memory
from metering.models import TracedCall
from tests.cast import Key
from tests.metering.door import Door, day_total, event, select
from tests.metering.ingest.otlp.spans import ANSWER, CHAT, SDK, counted, send, span, stored, tokens, usage_of

pytestmark = pytest.mark.django_db(transaction=True)

ANSWERED = CHAT | {"gen_ai.response.id": ANSWER}
APP = span(1, {"session.id": "s1"}, lasts=9.0)


def test_the_same_span_again(door: Door, acme: Organization) -> None:
    for _ in range(2):
        assert send(door, span(2, CHAT | tokens(10, 5))) == {}
    assert counted(acme) == [(f"span:5b8efff798038103d269b633813fc60c:{2:016x}", 10, 5)]
    assert day_total(acme) == (1, 15)


def test_an_answer_reported_twice(door: Door, acme: Organization) -> None:
    """As Traceloop does: the library's own span beside the instrumentation's, both with the provider's id."""
    own = span(3, ANSWERED | tokens(100, 7), below=1, scope=SDK, at=0.1, lasts=0.8)
    other = span(2, ANSWERED | tokens(100, 8), below=1, scope="opentelemetry.instrumentation.anthropic")
    assert send(door, own, other, APP) == {}
    assert counted(acme) == [(ANSWER, 100, 7)]


OUTER = span(2, CHAT | tokens(100, 9) | {"session.id": "s1"}, below=1, scope="openinference.instrumentation.anthropic")
INNER = span(3, ANSWERED | tokens(100, 7), below=2, scope=SDK, at=0.1, lasts=0.8)
BLANK = span(2, CHAT | {"session.id": "s1"}, below=1, scope="openinference.instrumentation.anthropic")


@pytest.mark.parametrize("outer", [OUTER, BLANK], ids=["outer with tokens", "outer without"])
@pytest.mark.parametrize("batches", [((0, 1),), ((0,), (1,)), ((1,), (0,)), ((0,), (1,), (0, 1)), ((1,), (1,), (0,))])
def test_a_span_below_another_is_the_same_call(
    door: Door, acme: Organization, outer: dict[str, Any], batches: Iterable[Iterable[int]]
) -> None:
    """Only the inner span has the provider's id. Tokens are the library's, the chat is the outer span's."""
    spans = [outer, INNER]
    for batch in batches:
        assert send(door, *(spans[index] for index in batch)) == {}
    ((event_id, prompt, completion),) = counted(acme)
    assert (prompt, completion) == (100, 7)
    assert stored(acme)["chat"] == "s1"
    assert day_total(acme) == (1, 107)
    assert event_id.startswith((ANSWER, "span:"))


def test_a_better_report_corrects_and_a_worse_one_does_not(door: Door, acme: Organization) -> None:
    send(door, BLANK)
    assert [(prompt, completion) for _, prompt, completion in counted(acme)] == [(None, None)]
    send(door, INNER)
    first = f"span:5b8efff798038103d269b633813fc60c:{2:016x}"
    assert counted(acme) == [(f"{first}~1", 100, 7)]
    send(door, OUTER)
    send(door, INNER, OUTER)
    assert counted(acme) == [(f"{first}~1", 100, 7)]
    history = "SELECT event_id, superseded_by IS NOT NULL FROM metering_event ORDER BY 1"
    assert select(acme, history) == [(first, True), (f"{first}~1", False)]
    assert day_total(acme) == (1, 107)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_three_reports_in_any_order(door: Door, acme: Organization, order: tuple[int, ...]) -> None:
    usage = {"input_tokens": 40, "cache_read_input_tokens": 60, "output_tokens": 7}
    raw = json.dumps({"id": ANSWER, "usage": usage})
    reports = [
        span(2, ANSWERED | tokens(100, 99), below=1),
        span(3, ANSWERED | tokens(100, 8), below=1, scope=SDK),
        span(4, {"openinference.span.kind": "LLM", "llm.model_name": "m", "output.value": raw}, below=1, scope="oi"),
    ]
    for index in order:
        send(door, reports[index])
    ((event_id, *counts),) = counted(acme)
    assert event_id.startswith(ANSWER)
    assert counts == [100, 7]
    assert usage_of(acme).cache_read == 60
    assert day_total(acme)[0] == 1


def test_neighbors_without_an_id(door: Door, acme: Organization) -> None:
    """A refused call has no answer to go by: two instrumentations, one around the other in time, below one span."""
    refused = CHAT | {"error.type": "not_found_error"}
    inner = span(3, refused, below=1, scope=SDK, at=0.1, lasts=0.5, is_error=True)
    outer = span(2, refused, below=1, scope="opentelemetry.instrumentation.anthropic", is_error=True)
    send(door, inner)
    send(door, outer)
    assert len(counted(acme)) == 1
    # Another call at the same time, of another model or by the same instrumentation, is another call.
    send(door, span(4, refused | {"gen_ai.request.model": "o3"}, below=1, scope="x", at=0.1, lasts=0.5))
    send(door, span(5, refused, below=1, scope=SDK, at=0.2, lasts=0.5))
    assert len(counted(acme)) == 3


def test_calls_side_by_side_are_several(door: Door, acme: Organization) -> None:
    send(door, APP, *(span(n, CHAT | tokens(10, n), below=1, at=0.1, lasts=0.5) for n in range(2, 7)))
    assert len(counted(acme)) == 5


def test_a_plain_span_between_changes_nothing(door: Door, acme: Organization) -> None:
    post = span(3, {"http.request.method": "POST"}, below=2, at=0.1, lasts=0.8)
    send(door, OUTER, post, span(4, ANSWERED | tokens(100, 7), below=3, scope=SDK, at=0.2, lasts=0.5))
    assert counted(acme) == [(ANSWER, 100, 7)]


def test_a_tool_between_makes_two_calls(door: Door, acme: Organization) -> None:
    tool = span(3, {"gen_ai.operation.name": "execute_tool"}, below=2, at=0.1, lasts=0.8)
    send(door, OUTER, tool, span(4, ANSWERED | tokens(20, 7), below=3, at=0.2, lasts=0.5))
    assert sorted(prompt or 0 for _, prompt, _ in counted(acme)) == [20, 100]


def test_an_embedding_within_a_chat_is_another_call(door: Door, acme: Organization) -> None:
    embedding = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e", "gen_ai.usage.input_tokens": 4}
    send(door, OUTER, span(3, embedding, below=2, at=0.1, lasts=0.2))
    assert sorted(prompt or 0 for _, prompt, _ in counted(acme)) == [4, 100]


@pytest.mark.parametrize("batches", [((0, 1, 2),), ((0,), (1,), (2,)), ((0, 1), (2,)), ((2, 1, 0), (2,))])
def test_a_span_over_several_calls_is_their_sum(
    door: Door, acme: Organization, batches: Iterable[Iterable[int]]
) -> None:
    inner = [
        span(n, CHAT | tokens(n, 1) | {"gen_ai.response.id": ANSWER + str(n)}, below=2, at=n / 10, lasts=0.05)
        for n in (3, 4)
    ]
    spans = [*inner, span(2, CHAT | tokens(7, 2), below=1)]
    for batch in batches:
        send(door, *(spans[index] for index in batch))
    assert counted(acme) == [(ANSWER + "3", 3, 1), (ANSWER + "4", 4, 1)]


def test_attempts_that_failed_are_no_calls_beside_the_one_that_was_answered(door: Door, acme: Organization) -> None:
    failed = span(3, CHAT | {"error.type": "429"}, below=2, at=0.1, lasts=0.1, is_error=True)
    send(door, failed, span(4, ANSWERED | tokens(100, 7), below=2, at=0.3, lasts=0.5), OUTER)
    assert [counts for _, *counts in counted(acme)] == [[100, 9]]
    assert stored(acme)["status"] == "ok"


def test_a_short_id_says_nothing(door: Door, acme: Organization) -> None:
    """Ollama draws its ids from a thousand, frameworks make theirs up."""
    for index, said in enumerate(("chatcmpl-7", "chatcmpl-7", "run-0d3f0a3c-aaaa-bbbb-cccc", "x" * 15)):
        send(door, span(index + 2, CHAT | tokens(1, 1) | {"gen_ai.response.id": said}, trace=f"{index + 1:032x}"))
    assert len(counted(acme)) == 4


def test_an_answer_that_came_in_by_another_door_is_counted(door: Door, acme: Organization) -> None:
    """The event that was sent as one stands, whatever spans say of it later."""
    assert door.send(event(ANSWER)).status_code == 200
    assert send(door, span(2, ANSWERED)) == {}
    assert send(door, INNER, OUTER) == {}
    assert counted(acme) == [(ANSWER, 1000, 100)]


def test_what_somebody_corrected_by_hand_stays(door: Door, acme: Organization) -> None:
    send(door, span(2, ANSWERED))
    assert door.send(event("by hand", supersedes=ANSWER)).status_code == 200
    assert send(door, INNER) == {}
    assert send(door, INNER) == {}
    assert counted(acme) == [("by hand", 1000, 100)]


def test_a_claim_whose_event_was_never_written_is_written_by_the_retry(door: Door, acme: Organization) -> None:
    send(door, INNER)
    with organization_scope(acme.id):
        TracedCall.objects.update(state="claimed")
    # The event is there: a retry finds it. And when another report comes instead, it corrects what is there.
    assert send(door, INNER) == {}
    assert counted(acme) == [(ANSWER, 100, 7)]
    with organization_scope(acme.id):
        assert TracedCall.objects.get().state == "stored"
        TracedCall.objects.update(state="claimed")
    assert send(door, OUTER) == {}
    assert counted(acme) == [(f"{ANSWER}~1", 100, 7)]
    assert stored(acme)["chat"] == "s1"
    # Nothing is there: the claim outlived the process that made it.
    later = span(5, CHAT | tokens(1, 1) | {"gen_ai.response.id": ANSWER + "-2"}, trace="a" * 32)
    send(door, later)
    with organization_scope(acme.id):
        TracedCall.objects.filter(event_id=ANSWER + "-2").update(state="claimed", event_id=ANSWER + "-3")
    assert send(door, later) == {}
    assert (ANSWER + "-3", 1, 1) in counted(acme)


def test_organizations_do_not_meet(
    door: Door, acme: Organization, globex: Organization, acme_key: Key, globex_key: Key
) -> None:
    send(door, OUTER, secret=acme_key.secret)
    send(door, INNER, secret=globex_key.secret)
    assert len(counted(acme)) == 1
    assert counted(globex) == [(ANSWER, 100, 7)]
    with organization_scope(globex.id):
        assert [call.event_id for call in TracedCall.objects.all()] == [ANSWER]


def test_old_reports_are_forgotten_and_retries_of_them_still_count_once(door: Door, acme: Organization) -> None:
    send(door, INNER, OUTER)
    assert memory.forget_old(now()) == 0
    assert memory.forget_old(now() + memory.KEPT) == 1
    assert send(door, INNER, OUTER) == {}
    assert counted(acme) == [(ANSWER, 100, 7)]


def test_two_processes_at_the_same_moment(acme: Organization, acme_key: Key) -> None:
    """Of every call one process sends the library's span and another the instrumentation's, each time together."""
    with TestClient(App()) as one, TestClient(App()) as other, ThreadPoolExecutor(8) as threads:
        doors = Door(one, acme_key.secret), Door(other, acme_key.secret)
        sent = []
        for number in range(1, 41):
            trace = f"{number:032x}"
            answered = CHAT | {"gen_ai.response.id": f"{ANSWER}-{number}"} | tokens(100, 7)
            inner = span(3, answered, below=2, trace=trace, scope=SDK, at=0.1, lasts=0.8)
            outer = span(2, CHAT | tokens(100, 9) | {"session.id": "s1"}, below=1, trace=trace)
            sent += [threads.submit(send, doors[0], inner), threads.submit(send, doors[1], outer)]
        assert [future.result() for future in sent] == [{}] * 80
    assert [counts for _, *counts in counted(acme)] == [[100, 7]] * 40
    assert day_total(acme) == (40, 40 * 107)
    assert select(acme, "SELECT DISTINCT chat FROM metering_event WHERE superseded_by IS NULL") == [("s1",)]
