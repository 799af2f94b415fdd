"""The parts that calculate and merge, by property."""

from __future__ import annotations

import datetime as dt
import pickle
from decimal import Decimal
from email.utils import format_datetime
from typing import Any, Optional

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tokenledger import ConnectionFailed, EventRefused, InvalidRequest, LimitReached, ModelUsage, Unavailable
from tokenledger.answers import Figures, Usage, UsageRow, read
from tokenledger.backoff import LONGEST_ASKED_SECONDS, LONGEST_SECONDS, delay, retry_after
from tokenledger.dimensions import merge
from tokenledger.errors import refusal
from tokenledger.outbox import Outbox, Pending
from tokenledger.wrapping.told import merge_usage

# ── Waiting ──


@given(st.integers(0, 10_000), st.none() | st.floats(0, 10_000))
def test_a_wait_is_never_shorter_than_asked_for(attempt: int, asked: Optional[float]) -> None:
    wait = delay(attempt, asked)
    if asked is None:
        assert 0 <= wait <= LONGEST_SECONDS
    else:
        assert min(asked, LONGEST_ASKED_SECONDS) <= wait <= LONGEST_ASKED_SECONDS + 1


@given(st.integers(0, 10**6))
def test_retry_after_as_seconds_and_as_a_date(seconds: int) -> None:
    now = dt.datetime(2026, 11, 22, tzinfo=dt.timezone.utc)
    assert retry_after({"retry-after": str(seconds)}, now) == seconds
    date = format_datetime(now + dt.timedelta(seconds=seconds), usegmt=True)
    assert retry_after({"retry-after": date}, now) == seconds
    assert retry_after({"retry-after": format_datetime(now - dt.timedelta(seconds=seconds))}, now) == 0


@given(st.text())
def test_any_retry_after_can_be_read(text: str) -> None:
    asked = retry_after({"retry-after": text})
    assert asked is None or asked >= 0


# ── Merging ──

_NAMES = st.sampled_from(["user", "feature", "tool", "project"])
_TAGS = st.dictionaries(st.sampled_from("abc"), st.none() | st.text(max_size=3), max_size=3)
_LAYER = st.builds(
    lambda plain, tags: {**plain, **tags},
    st.dictionaries(_NAMES, st.none() | st.text(min_size=1, max_size=3)),
    st.just({}) | _TAGS.map(lambda tags: {"tags": tags}) | st.just({"tags": None}),
)


@given(_LAYER, _LAYER, _LAYER)
def test_dimensions_are_merged(outer: dict[str, Any], middle: dict[str, Any], inner: dict[str, Any]) -> None:
    before = repr((outer, middle, inner))
    merged = merge(outer, middle, inner)
    assert repr((outer, middle, inner)) == before, "nobody's own object is changed"
    assert merge(merge(outer, middle), inner) == merged
    assert merge(merged) == merged
    assert None not in merged.values()
    assert merged.get("tags") != {}
    for name in ("user", "feature", "tool", "project"):
        said = [layer[name] for layer in (outer, middle, inner) if name in layer]
        assert merged.get(name) == (said[-1] if said else None)
    assert None not in merged.get("tags", {}).values()


def test_ids_stand_for_objects() -> None:
    assert merge({"chat": "c1"}, {"message": "m1"}) == {"chat": {"id": "c1"}, "message": {"id": "m1"}}
    assert merge({"tags": {"a": 1}}, {"tags": {"a": None}}) == {}


_COUNTS = st.dictionaries(
    st.sampled_from(["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]),
    st.none() | st.integers(0, 10**6),
)


@given(_COUNTS, _COUNTS)
def test_usage_told_in_pieces(begun: dict[str, Any], later: dict[str, Any]) -> None:
    """Later counts stand, null replaces nothing, and a split by lifetime goes with the count that it splits."""
    split = {"ephemeral_5m_input_tokens": 1}
    merged = merge_usage({**begun, "cache_creation": split}, later)
    assert merged is not None
    for name in {*begun, *later}:
        assert merged.get(name) == (later[name] if later.get(name) is not None else begun.get(name))
    written = "cache_creation_input_tokens"
    is_same = later.get(written) is None or later[written] == begun.get(written)
    assert ("cache_creation" in merged) == is_same
    assert merge_usage(begun, None) is None, "as long as the end is not known, nothing is"
    assert merge_usage(None, later) == later


# ── Answers ──


@given(st.decimals(0, 10**9, places=9), st.integers(0, 2**53))
def test_money_is_exact(cost: Decimal, tokens: int) -> None:
    row = {
        "model": "m", "provider": None, "requests": 1, "prompt_tokens": tokens, "completion_tokens": 0,
        "total_tokens": tokens, "credits_used": None, "cost_usd": format(cost, "f"), "percentage": 12.5,
        "added_by_a_newer_server": {"x": 1},
    }  # fmt: skip
    usage = read(ModelUsage, row)
    assert (usage.cost_usd, usage.total_tokens, usage.provider) == (cost, tokens, None)
    assert isinstance(usage.cost_usd, Decimal)


def test_metrics_that_were_not_asked_for_are_unknown() -> None:
    row = {"start": "2026-11-21T00:00:00Z", "end": "2026-11-22T00:00:00.500000Z", "group": {}, "labels": {}}
    usage = read(UsageRow, {**row, "requests": 3, "cost_usd": None})
    assert (usage.requests, usage.cost_usd, usage.total_tokens) == (3, None, None)
    assert usage.start == dt.datetime(2026, 11, 21, tzinfo=dt.timezone.utc)
    assert read(Figures, {}) == Figures()


@pytest.mark.parametrize("answer", [None, [], {}, {"period_start": "yesterday"}, "x"])
def test_an_answer_that_is_none(answer: Any) -> None:
    with pytest.raises(ConnectionFailed, match="no Usage"):
        read(Usage, answer)


def test_errors_travel_between_processes() -> None:
    told = {"error": {"code": "token_limit", "message": "Enough.", "param": "model", "request_id": "req_1"}}
    error = pickle.loads(pickle.dumps(refusal(429, told, retry_after=3.0)))
    assert isinstance(error, LimitReached)
    assert (error.code, error.retry_after, error.request_id) == ("token_limit", 3.0, "req_1")
    assert str(error) == "429 token_limit: Enough. (request req_1)"
    refused = pickle.loads(pickle.dumps(EventRefused("c", "m", param="p")))
    assert (refused.code, refused.param, str(refused)) == ("c", "p", "c: m")


@given(st.integers(300, 599), st.none() | st.text() | st.dictionaries(st.text(), st.none() | st.text()))
def test_any_refusal_can_be_told(status: int, error: Any) -> None:
    told = refusal(status, {"error": error})
    assert told.status == status
    assert isinstance(told, Unavailable) == (status >= 500)
    assert isinstance(refusal(status, None), type(told))
    assert isinstance(refusal(418, ["?"]), InvalidRequest)


# ── The queue ──


class OutboxRules(RuleBasedStateMachine):
    """Against a list: what was put in comes out once, in order, within the bounds."""

    CAPACITY = 7

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(capacity=self.CAPACITY, batch_size=3, batch_bytes=20, max_age=0.0)
        self.waiting: list[str] = []
        self.under_way: list[Pending] = []
        self.number = 0

    @rule(size=st.integers(1, 30))
    def put(self, size: int) -> None:
        self.number += 1
        has_room = len(self.waiting) + len(self.under_way) < self.CAPACITY
        assert self.outbox.put({"id": str(self.number)}, b"x" * size, 0.0) == has_room
        if has_room:
            self.waiting.append(str(self.number))

    @rule()
    def take(self) -> None:
        if not self.waiting:
            return
        batch = self.outbox.take()
        names = [one.event["id"] for one in batch]
        assert 1 <= len(batch) <= 3
        assert names == self.waiting[: len(names)]
        assert len(batch) == 1 or sum(len(one.body) + 1 for one in batch) <= 20
        del self.waiting[: len(names)]
        self.under_way += batch

    @rule(data=st.data())
    def finish(self, data: Any) -> None:
        if not self.under_way:
            return
        done = data.draw(st.lists(st.sampled_from(self.under_way), unique_by=lambda one: one.number))
        assert self.outbox.finish(done) == done
        assert self.outbox.finish(done) == [], "once"
        self.under_way = [one for one in self.under_way if one not in done]

    @rule()
    def flush(self) -> None:
        assert self.outbox.flush(0) == (not self.waiting and not self.under_way)

    @rule()
    def abandon(self) -> None:
        left = [one.event["id"] for one in self.outbox.abandon()]
        assert left == [one.event["id"] for one in self.under_way] + self.waiting
        assert self.outbox.finish(self.under_way) == []
        self.waiting, self.under_way = [], []

    @invariant()
    def holds_all(self) -> None:
        assert len(self.outbox) == len(self.waiting) + len(self.under_way)


TestOutbox = OutboxRules.TestCase
