"""The reading side against the product, where seven calls in three days are known exactly."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest

from accounts.models import Organization
from conftest import Product
from scripted import answer, refuse, scripted
from tests.metering.door import usage
from tokenledger import Client, Forbidden, InvalidRequest, LimitReached, NotFound, Unauthorized, Unavailable

NOON = dt.datetime(2026, 11, 10, 12, tzinfo=dt.timezone.utc)


@pytest.fixture
def client(product: Product, new_client: Callable[..., Client], prices: None) -> Client:
    """Six calls of gpt-4o on three days, and one of a model without a price."""
    product.start()
    made = new_client()
    for n in range(6):
        made.track(
            id=f"e{n}", model="gpt-4o", provider="openai", usage=usage(), user="bob" if n % 2 else "alice",
            occurred_at=NOON + dt.timedelta(days=n // 2, seconds=n), chat=f"c{n % 3}", tags={"n": n % 2},
            feature="search",
        )  # fmt: skip
    made.track(id="a/b?c d", model="nobodys", usage={"input": 7}, occurred_at=NOON - dt.timedelta(seconds=1))
    assert made.flush(10)
    return made


def test_usage(client: Client) -> None:
    told = client.usage(dt.date(2026, 11, 10), dt.date(2026, 11, 12))
    assert (told.total_requests, told.prompt_tokens, told.completion_tokens) == (7, 6_007, 600)
    assert told.total_cost_usd == Decimal("0.021")
    assert (told.coverage.priced.events, told.coverage.unpriced.tokens) == (6, 7)
    assert [(day.date.day, day.requests, day.cost_usd) for day in told.daily_breakdown] == [
        (12, 2, Decimal("0.007")),
        (11, 2, Decimal("0.007")),
        (10, 3, Decimal("0.007")),
    ]
    assert (told.allowance.limit, told.allowance.used) == (None, 6_607)
    assert told.period_start == dt.datetime(2026, 11, 9, 23, tzinfo=dt.timezone.utc), "a day of Berlin"
    assert client.usage("2026-11-10", "2026-11-10", user="bob").total_requests == 1
    assert client.usage("2026-11-10", "2026-11-12", tags={"n": "1"}, model=["gpt-4o", "x"]).total_requests == 3
    assert client.usage("2026-11-10", "2026-11-12", user=None).total_requests == 1, "None is without"


def test_models(client: Client) -> None:
    first, second = client.models("2026-11-10", "2026-11-12")
    assert (first.model, first.provider, first.requests, first.cost_usd) == ("gpt-4o", "openai", 6, Decimal("0.021"))
    assert (second.model, second.cost_usd) == ("nobodys", None)


def test_query(client: Client) -> None:
    told = client.query("2026-11-10", "2026-11-12", group_by=["user"], metrics=["requests", "cost_usd"],
                        order_by=["start", "user"], model="gpt-4o", timezone="UTC")  # fmt: skip
    assert [(row.start.day, row.group["user"], row.requests, row.total_tokens) for row in told.rows] == [
        (day, user, 1, None) for day in (10, 11, 12) for user in ("alice", "bob")
    ]
    assert (told.totals.requests, told.totals.cost_usd, told.coverage.priced.events) == (6, Decimal("0.021"), 6)
    short = client.query("2026-11-10", "2026-11-12", group_by=["user"], limit=3)
    assert (len(short.rows), short.totals.requests) == (3, 7), "totals are of all"
    (whole,) = client.query(NOON - dt.timedelta(seconds=1), NOON + dt.timedelta(days=1), interval="none").rows
    assert (whole.requests, whole.end) == (3, NOON + dt.timedelta(days=1))


def test_every_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenledger.reading.EVENTS_A_PAGE", 2)
    monkeypatch.setattr("tokenledger.reading.ROWS_A_PAGE", 2)
    ids = [event.id for event in client.events()]
    assert ids[:6] == ["e5", "e4", "e3", "e2", "e1", "e0"]
    assert len(ids) == len(set(ids)) == 7
    assert [event.id for event in client.events(limit=3)] == ["e5", "e4", "e3"]
    assert [event.id for event in client.events(chat="c0")] == ["e3", "e0"]
    assert [event.id for event in client.events(pricing="unpriced")] == ["a/b?c d"]
    assert [(chat.id, chat.requests) for chat in client.chats()] == [("c2", 2), ("c1", 2), ("c0", 2)]
    rows = client.query("2026-11-10", "2026-11-12", group_by=["user"], order_by=["start", "user"]).rows
    assert len(rows) == 7
    with pytest.raises(ValueError, match="1 or more"):
        list(client.events(limit=0))


def test_one_event_and_its_receipt(client: Client) -> None:
    event = client.event("e0")
    assert (event.occurred_at, event.raw_usage, event.supersedes) == (NOON, usage(), None)
    assert event.usage is not None
    assert event.usage.seconds == 0
    receipt = client.receipt("e0")
    assert [(line.bucket, line.count, line.rate_usd, line.amount_usd) for line in receipt.lines] == [
        ("input", 1_000, Decimal("2.5"), Decimal("0.0025")),
        ("output", 100, Decimal(10), Decimal("0.001")),
    ]
    assert (receipt.cost_usd, receipt.is_reproduced) == (Decimal("0.0035"), True)
    assert receipt.version is not None
    assert receipt.version.valid_to is None
    assert client.event("a/b?c d").total_tokens == 7, "an id may hold anything"
    assert client.receipt("a/b?c d").pricing == "unpriced"


def test_refusals(client: Client, product: Product, new_key: Callable[..., object], acme: Organization) -> None:
    with pytest.raises(NotFound) as unknown:
        client.event("nothing")
    assert (unknown.value.status, unknown.value.code) == (404, "not_found")
    assert unknown.value.request_id
    with pytest.raises(InvalidRequest) as wrong:
        client.query("2026-11-10", "2026-11-12", interval="fortnight")
    assert (wrong.value.status, wrong.value.param) == (422, "interval")
    with pytest.raises(ValueError, match="from needs an offset"):
        client.usage(dt.datetime(2026, 11, 10))  # noqa: DTZ001
    with Client(product.url, "tl_nobodys") as stranger, pytest.raises(Unauthorized):
        stranger.usage()
    writer = new_key("usage:write")
    with Client(product.url, writer.secret) as client, pytest.raises(Forbidden, match="usage:read"):  # type: ignore[attr-defined]
        client.models()


def test_reading_is_tried_again() -> None:
    page = {"data": [], "has_more": False, "next_cursor": None}
    with scripted(refuse(503, retry_after="0"), answer(200, page)) as server, Client(server.url, "tl_key") as client:
        assert client.models() == []
        assert len(server.requests) == 2
    with scripted(refuse(503, retry_after="0")) as server, Client(server.url, "tl_key") as client:
        with pytest.raises(Unavailable):
            client.models()
        assert len(server.requests) == 3
    with scripted(refuse(503, retry_after="60")) as server, Client(server.url, "tl_key") as client:
        with pytest.raises(Unavailable) as refused:
            client.models()
        assert (len(server.requests), refused.value.retry_after) == (1, 60), "that is the caller's to wait for"
    with scripted(refuse(429, retry_after="1")) as server, Client(server.url, "tl_key") as client:
        with pytest.raises(LimitReached):
            client.models()
        assert len(server.requests) == 1
