"""Estimates and admissions against the product: room is reserved, settled, released, and refused."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Organization
from core.money import NANOS_PER_USD
from core.tenancy import organization_scope
from metering.models import Hold, Limit
from scripted import answer, break_off, refuse, scripted
from tests.metering.door import usage
from tokenledger import Client, Conflict, ConnectionFailed, CreditsSpent, InvalidRequest, LimitReached

TOKENS = {"kind": "budget", "source": "budget:1", "label": "The budget", "unit": "tokens"}
CREDITS = {"kind": "credits", "source": "credits", "label": "Credits", "unit": "cost", "period": "fixed"}
ADMITTED = {"id": "a1", "allowed": True, "expires_at": "2026-11-22T12:00:00Z", "remaining": {}}


@pytest.fixture
def limit(acme: Organization) -> Callable[..., None]:
    def make(**fields: Any) -> None:
        with organization_scope(acme.id):
            Limit.objects.create(organization=acme, **fields)

    return make


def holds(acme: Organization) -> int:
    with organization_scope(acme.id):
        return Hold.objects.filter(released_at=None).count()


def test_estimates(client: Client, prices: None) -> None:
    given = client.estimate(model="gpt-4o", input_tokens=1000, max_output_tokens=100)
    assert (given.input_tokens, given.max_output_tokens, given.is_exact) == (1000, 100, True)
    assert (given.cost_usd, given.input_cost_usd, given.output_cost_usd) == (
        Decimal("0.0035"),
        Decimal("0.0025"),
        Decimal("0.001"),
    )
    text = client.estimate(model="gpt-4o", text="Hello, world")
    assert (text.tokenizer, text.is_exact, text.input_tokens < 10) == ("o200k_base", True, True)
    messages = client.estimate(model="nobodys", messages=[{"role": "user", "content": "Hello, world"}])
    assert (messages.is_exact, messages.cost_usd) == (False, None)
    with pytest.raises(TypeError, match="one of"):
        client.estimate(model="gpt-4o", text="Hello", input_tokens=1)
    with pytest.raises(InvalidRequest) as refused:
        client.estimate(model="gpt-4o", input_tokens=-1)
    assert (refused.value.status, refused.value.param) == (422, "input_tokens")


def test_settled(client: Client, acme: Organization, prices: None, limit: Callable[..., None]) -> None:
    limit(**TOKENS, amount=10_000)
    with (
        client.context(user="bob", chat={"id": "c1", "title": "T"}, tags={"env": "prod"}),
        client.admit(model="gpt-4o", estimated_tokens=4_000, feature="search") as admission,
    ):
        assert admission.remaining.tokens == 6_000
        assert holds(acme) == 1
        admission.settle(usage=usage(), duration_ms=5)
        admission.settle(usage=usage(), duration_ms=5)
    assert holds(acme) == 0
    event = client.event(admission.id)
    assert (event.total_tokens, event.cost_usd, event.is_estimated) == (1_100, Decimal("0.0035"), False)
    assert (event.user, event.feature, event.tags) == ("bob", "search", {"env": "prod"})
    assert event.chat is not None
    assert (event.chat.id, event.chat.title) == ("c1", "T")
    with client.admit(model="gpt-4o", estimated_tokens=1) as another:
        assert another.remaining.tokens == 8_899, "what was used counts, not what was estimated"


def test_released(client: Client, acme: Organization, limit: Callable[..., None]) -> None:
    limit(**TOKENS, amount=100)
    with pytest.raises(ZeroDivisionError), client.admit(model="m", estimated_tokens=100):
        raise ZeroDivisionError
    with client.admit(model="m", estimated_tokens=100):
        assert holds(acme) == 1
    assert holds(acme) == 0
    admission = client.admit(model="m", estimated_tokens=100)
    admission.release()
    admission.release()
    assert holds(acme) == 0
    assert not list(client.events())


def test_a_limit_is_reached(client: Client, acme: Organization, limit: Callable[..., None]) -> None:
    limit(**TOKENS, amount=100)
    with client.admit(model="m", estimated_tokens=80), pytest.raises(LimitReached) as refused:
        client.admit(model="m", estimated_tokens=21)
    error = refused.value
    assert (error.status, error.code) == (429, "insufficient_quota")
    assert error.retry_after is not None
    assert error.retry_after >= 1
    assert "The budget" in error.message
    assert error.request_id
    assert holds(acme) == 0


def test_credits_are_spent(client: Client, acme: Organization, prices: None, limit: Callable[..., None]) -> None:
    limit(**CREDITS, amount=NANOS_PER_USD // 1_000, starts_on="2026-01-01")
    with pytest.raises(CreditsSpent) as refused:
        client.admit(model="gpt-4o", estimated_tokens=1_000_000)
    assert refused.value.status == 402


def test_what_is_over_cannot_be_settled_otherwise(client: Client, acme: Organization) -> None:
    with client.admit(model="m", estimated_tokens=5) as admission:
        admission.settle(usage={"input": 1})
        with pytest.raises(Conflict) as refused:
            admission.settle(usage={"input": 2})
    assert refused.value.request_id
    with pytest.raises(Conflict):
        admission.release()


def test_an_answer_that_is_lost() -> None:
    """The same admission is asked for again, by its id; a settlement that failed is not released."""
    with scripted(break_off, answer(200, ADMITTED), refuse(500)) as server, Client(server.url, "tl_key") as client:
        with pytest.raises(Exception, match="500"), client.admit(model="m", estimated_tokens=1) as admission:
            admission.settle(usage={"input": 1})
        asked = [(one.path, one.json.get("id")) for one in server.requests]
        assert asked[0] == asked[1]
        assert {path for path, _ in asked[2:]} == {"/v1/admissions/a1/settle"}
    with scripted(answer(200, ADMITTED), break_off) as server, Client(server.url, "tl_key") as client:
        with pytest.raises(ConnectionFailed), client.admit(model="m", estimated_tokens=1) as admission:
            admission.settle(usage={"input": 1})
        assert {one.path for one in server.requests[1:]} == {"/v1/admissions/a1/settle"}
    with scripted(answer(200, ADMITTED), break_off) as server, Client(server.url, "tl_key") as client:
        with client.admit(model="m", estimated_tokens=1):
            pass
        assert {one.path for one in server.requests[1:]} == {"/v1/admissions/a1/release"}, "a failure is logged"
