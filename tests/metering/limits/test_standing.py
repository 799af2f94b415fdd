"""What is used and held of a limit: by every selector, in every period and zone, and as every query has it."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Organization, Project
from core.periods import day_start
from core.tenancy import organization_scope
from metering import pipeline
from metering.directory import Directory
from metering.events import Usage, UsageEvent
from metering.limits.rules import Rule, Span
from metering.limits.standing import of_organization
from metering.models import Limit, LimitKind, LimitUnit
from metering.pipeline import Sender
from metering.pricing.book import PriceBook
from metering.query.run import run
from metering.query.spec import UsageQuery
from tests.metering.door import INPUT_NANOS
from tests.metering.limits.calls import limit

pytestmark = pytest.mark.usefixtures("prices")
UTC = dt.UTC
BERLIN = ZoneInfo("Europe/Berlin")
NOW = dt.datetime(2026, 6, 15, 12, tzinfo=UTC)


def used(
    organization: Organization, tokens: int, at: dt.datetime = NOW, sender: Sender | None = None, **fields: Any
) -> None:
    name = f"{at:%d%H%M}-{tokens}-{len(fields)}-{fields}-{sender}"
    event = UsageEvent(
        **({"event_id": name, "occurred_at": at, "model": "gpt-4o", "provider": "openai", "usage": Usage(input=tokens),
            "body_hash": b"h" * 16} | fields)
    )  # fmt: skip
    directory = Directory.load(organization.id)
    with organization_scope(organization.id):
        (rated,) = pipeline.record(directory, PriceBook.load(), sender or Sender(), [event], at)
        assert rated.problem is None


def standings(organization: Organization, at: dt.datetime = NOW) -> dict[str, tuple[int, int]]:
    """(used, held) by source."""
    with organization_scope(organization.id):
        sources = dict(Limit.objects.values_list("id", "source"))
    return {sources[one.rule.id]: (one.used, one.held) for one in of_organization(organization.id, at)}


SELECTIONS: dict[str, dict[str, Any]] = {
    "all": {},
    "project": {"project_id": True},
    "key": {"api_key_id": 9},
    "model": {"model": "gpt-4o"},
    "feature": {"feature": "chat"},
    "project and model": {"project_id": True, "model": "gpt-4o"},
    "key and model": {"api_key_id": 9, "model": "gpt-4o"},
    "project, key, model": {"project_id": True, "api_key_id": 9, "model": "gpt-4o"},
    "model and feature": {"model": "gpt-4o", "feature": "chat"},
    "unknown model": {"model": "never seen"},
    "unknown feature and project": {"project_id": True, "feature": "never seen"},
}


@pytest.mark.parametrize("unit", [LimitUnit.TOKENS, LimitUnit.COST])
def test_it_is_what_the_query_says(acme: Organization, website: Project, unit: LimitUnit) -> None:
    for name, selection in SELECTIONS.items():
        known = {key: website.id if value is True else value for key, value in selection.items()}
        limit(acme, 10**9, unit, source=name, **known)
    number = 1
    for sender in (None, Sender(9), Sender(9, website.id), Sender(10, website.id)):
        for model in ("gpt-4o", "other"):
            for feature in ("chat", None):
                used(acme, number, NOW - dt.timedelta(days=number), sender, model=model, feature=feature)
                used(acme, 10_000, NOW - dt.timedelta(days=20), sender, model=model, feature=feature)
                number *= 2
                number = number if number < 2**13 else 1
    found = standings(acme)
    start, end = day_start(dt.date(2026, 6, 1), BERLIN), day_start(dt.date(2026, 7, 1), BERLIN)
    for name, selection in SELECTIONS.items():
        filters = {
            {"project_id": "project", "api_key_id": "api_key"}.get(key, key): (website.id if value is True else value,)
            for key, value in selection.items()
        }
        with organization_scope(acme.id):
            totals = run(UsageQuery(acme.id, start, end, BERLIN, filters=filters)).totals
        expected = totals.total_tokens if unit == LimitUnit.TOKENS else totals.cost_nanos or 0
        assert found[name] == (expected, 0), name


def test_a_month_is_the_organizations(acme: Organization) -> None:
    """Half past ten in the evening of May 31 UTC is June in Berlin."""
    limit(acme, 100)
    used(acme, 1, dt.datetime(2026, 5, 31, 21, 59, 59, tzinfo=UTC))
    used(acme, 2, dt.datetime(2026, 5, 31, 22, 0, tzinfo=UTC))
    used(acme, 4, dt.datetime(2026, 6, 30, 21, 59, 59, tzinfo=UTC))
    used(acme, 8, dt.datetime(2026, 6, 30, 22, 0, tzinfo=UTC))
    assert standings(acme, dt.datetime(2026, 5, 31, 21, 59, tzinfo=UTC)) == {"plan": (1, 0)}
    assert standings(acme, dt.datetime(2026, 6, 1, tzinfo=UTC)) == {"plan": (6, 0)}
    assert standings(acme, dt.datetime(2026, 6, 30, 22, 0, tzinfo=UTC)) == {"plan": (8, 0)}


def test_fixed_dates_are_half_open_and_may_have_no_end(acme: Organization) -> None:
    limit(acme, 100, source="june", period="fixed", starts_on=dt.date(2026, 6, 10), ends_on=dt.date(2026, 6, 16))
    limit(acme, 100, source="open", period="fixed", starts_on=dt.date(2026, 6, 11))
    limit(acme, 100, source="later", period="fixed", starts_on=dt.date(2026, 6, 16))
    for day, tokens in ((9, 1), (10, 2), (11, 4), (15, 8), (16, 16)):
        used(acme, tokens, dt.datetime(2026, 6, day, 12, tzinfo=UTC))
    assert standings(acme) == {"june": (14, 0), "open": (28, 0)}
    assert standings(acme, dt.datetime(2026, 6, 15, 22, tzinfo=UTC)) == {"open": (28, 0), "later": (16, 0)}


def test_a_superseded_event_is_used_no_more(acme: Organization) -> None:
    limit(acme, 100)
    limit(acme, 100, source="events", model="gpt-4o", feature="chat")
    used(acme, 50, event_id="wrong", feature="chat")
    used(acme, 20, event_id="right", feature="chat", supersedes="wrong")
    assert standings(acme) == {"plan": (20, 0), "events": (20, 0)}


def test_periods_of_a_rule() -> None:
    month = Rule(1, "budget", "x", "tokens", 1, "month", None, None, (0, 0, 0, 0, 0, "", ""))
    span = month.span(dt.datetime(2026, 3, 29, 12, tzinfo=UTC), BERLIN)
    assert span == Span(
        dt.date(2026, 3, 1), dt.date(2026, 4, 1),
        dt.datetime(2026, 2, 28, 23, tzinfo=UTC), dt.datetime(2026, 3, 31, 22, tzinfo=UTC),
    )  # fmt: skip


# ── GET /v1/usage ──


def today() -> dt.datetime:
    return dt.datetime.now(UTC)


def test_usage_tells_allowance_and_credits(acme: Organization, acme_api: Client, website: Project) -> None:
    limit(acme, 1_000)
    limit(acme, 100, source="budget:1", project_id=website.id)
    limit(acme, 10**9, LimitUnit.COST, source="credits", kind=LimitKind.CREDITS, period="fixed",
          starts_on=dt.date(2020, 1, 1))  # fmt: skip
    used(acme, 1_200, today())
    used(acme, 50, today(), project="website")
    connection.close()
    answer = acme_api.get("/v1/usage").json()
    assert answer["allowance"] == {
        "limit": 1_000, "used": 1_250, "remaining": 0, "percent": 125, "overage_tokens": 250,
    }  # fmt: skip
    assert answer["credits_remaining"] == (10**9 - 1_250 * INPUT_NANOS) * 10_000 // 10**9
    answer = acme_api.get("/v1/usage?project=website").json()
    assert answer["allowance"] == {"limit": 100, "used": 50, "remaining": 50, "percent": 50, "overage_tokens": 0}
    answer = acme_api.get("/v1/usage?provider=openai").json()
    assert (answer["allowance"]["limit"], answer["allowance"]["used"]) == (None, 1_250)
    assert answer["credits_remaining"] is not None


def test_unlimited_and_blocked_allowances(acme: Organization, acme_api: Client) -> None:
    row = limit(acme, None)
    used(acme, 10, today())
    assert acme_api.get("/v1/usage").json()["allowance"] == {
        "limit": None, "used": 10, "remaining": None, "percent": None, "overage_tokens": 0,
    }  # fmt: skip
    with organization_scope(acme.id):
        Limit.objects.filter(pk=row.pk).update(amount=0)
    assert acme_api.get("/v1/usage").json()["allowance"] == {
        "limit": 0, "used": 10, "remaining": 0, "percent": None, "overage_tokens": 10,
    }  # fmt: skip


def test_a_neighbors_limits_are_not_told(acme: Organization, globex: Organization, globex_api: Client) -> None:
    limit(acme, 1_000)
    answer = globex_api.get("/v1/usage").json()
    assert answer["allowance"]["limit"] is None
