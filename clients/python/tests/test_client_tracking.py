"""What is tracked is stored once by the real product, whatever happens between the two."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization
from conftest import Product
from tests.metering.door import day_total, select, stored_ids, usage
from tokenledger import Client, ClosedError, EventRefused, Stats, TokenledgerError, Unauthorized


def test_an_event_with_everything(client: Client, acme: Organization, prices: None) -> None:
    at = dt.datetime(2026, 11, 1, 12, 30, tzinfo=dt.timezone.utc)
    event_id = client.track(
        model="gpt-4o",
        usage=usage(),
        provider="openai",
        occurred_at=at,
        endpoint="/v1/chat/completions",
        user="bob",
        chat={"id": "c1", "title": "Plans"},
        message={"id": "m1", "input_parts": {"message": 10}},
        files=[{"id": "f1", "name": "Report.pdf", "tokens": 12}],
        feature="search",
        tool="web",
        integration="slack",
        end_user="u1",
        duration_ms=12.6,
        time_to_first_token_ms=3.2,
        streamed=True,
        finish_reason="stop",
        service_tier="standard",
        tags={"env": "prod", "try": 2},
    )
    assert client.flush(10)
    stored = client.event(event_id)
    assert (stored.id, stored.occurred_at, stored.model, stored.cost_usd) == (event_id, at, "gpt-4o", stored.cost_usd)
    assert str(stored.cost_usd) == "0.0035"
    assert stored.usage is not None
    assert (stored.usage.input, stored.usage.output, stored.total_tokens) == (1000, 100, 1100)
    assert stored.chat is not None
    assert (stored.chat.title, stored.feature, stored.tags) == ("Plans", "search", {"env": "prod", "try": "2"})
    assert (stored.duration_ms, stored.time_to_first_token_ms, stored.streamed) == (13, 3, True)
    assert stored.raw_usage == usage()
    assert client.stats == Stats(acknowledged=1)


def test_batches_from_many_threads(product: Product, new_client: Callable[..., Client], acme: Organization) -> None:
    product.start()
    client = new_client(batch_size=50)

    def track_some(number: int) -> None:
        for n in range(100):
            client.track(id=f"{number}-{n}", model="m", usage={"input": 1})

    threads = [threading.Thread(target=track_some, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(20)
    assert client.stats == Stats(acknowledged=800)
    assert len(stored_ids(acme)) == 800
    assert day_total(acme) == (800, 800)


def test_wrong_events_are_told_and_the_others_stored(
    product: Product, new_client: Callable[..., Client], acme: Organization
) -> None:
    product.start()
    told: list[tuple[str, TokenledgerError]] = []
    client = new_client(on_error=lambda event, error: told.append((event["id"], error)), max_age=5)
    client.track(id="fine", model="m", usage={"input": 1})
    client.track(id="fine", model="m", usage={"input": 1})
    client.track(id="fine", model="m", usage={"input": 2})
    client.track(id="late", model="m", usage={"input": 1}, occurred_at="2999-01-01T00:00:00Z")
    client.track(id="bad", model="m", usage={"input": -1})
    client.track(id="last", model="m", usage=None)
    assert client.flush(10)
    assert stored_ids(acme) == ["fine", "last"]
    assert [(name, type(error), error.code) for name, error in told if isinstance(error, EventRefused)] == [
        ("fine", EventRefused, "event_conflict"),
        ("late", EventRefused, "time_in_future"),
        ("bad", EventRefused, "negative_tokens"),
    ]
    assert all(error.request_id for _, error in told if isinstance(error, EventRefused))
    assert client.stats == Stats(acknowledged=3, duplicates=1, failed=3)
    # None of a batch.
    client.track(id="bad", model="m", usage={"input": -1})
    assert client.flush(10)
    assert client.stats.failed == 4


def test_an_unreadable_event_does_not_take_others_with_it(
    product: Product, new_client: Callable[..., Client], acme: Organization
) -> None:
    """Half a surrogate pair makes the whole body unreadable; the server cannot say whose it is."""
    product.start()
    told: list[str] = []
    client = new_client(on_error=lambda event, error: told.append(event["id"]), max_age=5)
    for n in range(20):
        client.track(id=f"e{n}", model="m", usage={"input": 1}, feature="\ud800" if n == 13 else "fine")
    assert client.flush(10)
    assert told == ["e13"]
    assert len(stored_ids(acme)) == 19


def test_a_key_that_may_not(product: Product, acme: Organization) -> None:
    product.start()
    told: list[TokenledgerError] = []
    with Client(product.url, "tl_wrong", max_age=0.01, on_error=lambda _, error: told.append(error)) as client:
        client.track(model="m", usage=None)
        assert client.flush(10)
    (error,) = told
    assert isinstance(error, Unauthorized)
    assert (error.status, error.request_id is not None) == (401, True)


def test_the_server_is_away_and_comes_back(
    product: Product, new_client: Callable[..., Client], acme: Organization
) -> None:
    """Stopped and started again in the middle of it: nothing is lost, nothing counts twice."""
    client = new_client(batch_size=20)
    sent: list[str] = []
    is_over = threading.Event()

    def keep_tracking() -> None:
        while not is_over.is_set():
            sent.append(client.track(model="m", usage={"input": 1}, feature="steady"))
            time.sleep(0.001)

    thread = threading.Thread(target=keep_tracking)
    thread.start()
    for _ in range(3):
        time.sleep(0.2)
        product.start()
        time.sleep(0.4)
        product.stop()
    product.start()
    is_over.set()
    thread.join()
    assert client.flush(40)
    stats = client.stats
    assert stats.retries >= 1
    assert (stats.acknowledged, stats.failed, stats.dropped) == (len(sent), 0, 0)
    assert stored_ids(acme) == sorted(sent)
    assert day_total(acme) == (len(sent), len(sent))


def test_what_a_block_of_code_belongs_to(client: Client, acme: Organization) -> None:
    with client.context(user="bob", chat="c1", tags={"env": "prod", "a": 1}):
        client.track(id="outer", model="m", usage=None)
        with client.context(chat={"id": "c2", "title": "Inner"}, user=None, tags={"a": None}):
            client.track(id="inner", model="m", usage=None, feature="own")
        client.track(id="own", model="m", usage=None, user="alice", chat=None)
    client.track(id="none", model="m", usage=None)
    assert client.flush(10)
    rows = {event.id: event for event in client.events()}
    told = {
        name: (row.user, row.chat and (row.chat.id, row.chat.title), row.feature, row.tags)
        for name, row in rows.items()
    }
    assert told == {
        "outer": ("bob", ("c1", None), None, {"env": "prod", "a": "1"}),
        "inner": (None, ("c2", "Inner"), "own", {"env": "prod"}),
        "own": ("alice", None, None, {"env": "prod", "a": "1"}),
        "none": (None, None, None, {}),
    }


def test_mistakes_are_raised_where_they_are_made(client: Client) -> None:
    wrong: dict[str, Any] = {"usages": 1}
    with pytest.raises(TypeError, match="unknown: usages"):
        client.track(model="m", usage=None, **wrong)
    with pytest.raises(TypeError, match="usage is a mapping"):
        client.track(model="m", usage=7)
    with pytest.raises(ValueError, match="offset"):
        client.track(model="m", usage=None, occurred_at=dt.datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="JSON"):
        client.track(model="m", usage={"input": float("nan")})
    with pytest.raises(TypeError, match="unknown: team"), client.context(team="x"):  # type: ignore[call-arg]
        pass
    client.close()
    with pytest.raises(ClosedError):
        client.track(model="m", usage=None)
    assert client.close(), "twice is fine"


def test_an_sdks_usage_object_is_what_the_provider_said(client: Client, acme: Organization) -> None:
    from openai.types import CompletionUsage

    said = CompletionUsage.model_validate(usage() | {"prompt_tokens_details": {"cached_tokens": 400}})
    event_id = client.track(model="gpt-4o", usage=said)
    assert client.flush(10)
    assert client.event(event_id).raw_usage == usage() | {"prompt_tokens_details": {"cached_tokens": 400}}
    assert select(acme, "SELECT cache_read FROM metering_event") == [(400,)]
