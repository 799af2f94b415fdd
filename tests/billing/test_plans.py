"""Plans as they are seeded, and as the operator changes them."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import DatabaseError, connection, transaction

from accounts.models import Organization
from billing.contracts import Contract
from billing.models import Overage, PlanVersion
from billing.plans import SEEDS, Terms, change_plan_terms, create_plan, seed_plans, terms_of, version_on, versions_on
from core.errors import ApiError
from tests.billing.plans import MID_NOVEMBER, on, subscribed

pytestmark = pytest.mark.django_db
TODAY = dt.date(2026, 11, 11)


def test_the_tiers() -> None:
    plans = versions_on(TODAY)
    assert list(plans) == ["free", "prepaid", "developer", "startup", "enterprise"]
    told = {code: (one.allowance_tokens, one.overage) for code, one in plans.items()}
    assert told["free"] == (100_000, Overage.REFUSE)
    assert told["developer"] == (5_000_000, Overage.CHARGE)
    assert told["startup"] == (25_000_000, Overage.CHARGE)
    assert told["enterprise"][0] is None
    assert plans["enterprise"].features == ["team_usage"]
    assert not plans["startup"].features
    assert all(one.requests_per_minute and one.tokens_per_minute for one in plans.values())


def test_seeding_again_changes_nothing() -> None:
    seed_plans()
    assert PlanVersion.objects.count() == len(SEEDS)


def test_a_version_begins_on_a_day_to_come_and_with_a_period(acme: Organization) -> None:
    contract = subscribed(acme, "developer")
    change_plan_terms(
        "developer", {"base_fee_nanos": 39 * 10**9, "allowance_tokens": 6_000_000}, effective_on=dt.date(2026, 11, 20),
        by_label="olga", at=MID_NOVEMBER,
    )  # fmt: skip
    assert version_on("developer", dt.date(2026, 11, 19)).base_fee_nanos == 29 * 10**9
    assert version_on("developer", dt.date(2026, 11, 20)).base_fee_nanos == 39 * 10**9
    changed = Contract.load(acme)
    assert changed is not None
    november, december = contract.period(TODAY), contract.period(dt.date(2026, 12, 1))
    assert changed.allowance(november) == 5_000_000, "what has begun stays as it was"
    assert changed.fees(november) == contract.fees(november)
    assert changed.allowance(december) == 6_000_000
    assert [fee.nanos for fee in changed.fees(december)] == [39 * 10**9]


def test_who_comes_later_has_the_new_version(acme: Organization) -> None:
    change_plan_terms(
        "developer", {"allowance_tokens": 6_000_000}, effective_on=dt.date(2026, 11, 20), by_label="olga",
        at=MID_NOVEMBER,
    )  # fmt: skip
    contract = subscribed(acme, "developer", on("2026-11-25"))
    assert contract.allowance(contract.period(TODAY)) == 6_000_000


@pytest.mark.parametrize("day", ["2026-11-10", "2026-11-11", "2026-11-12"])
def test_no_version_begins_where_the_day_has(day: str) -> None:
    """At 11:00 UTC it is one in the morning of the 12th on Kiritimati."""
    with pytest.raises(ApiError, match="has begun nowhere"):
        change_plan_terms(
            "free", {"allowance_tokens": 1}, effective_on=dt.date.fromisoformat(day), by_label="olga", at=MID_NOVEMBER
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"base_fee_nanos": -1},
        {"allowance_tokens": -1},
        {"overage": Overage.CREDITS},
        {"features": ("flying",)},
        {"name": ""},
        {"requests_per_minute": -1},
    ],
)
def test_terms_that_make_no_sense(changes: dict[str, object]) -> None:
    with pytest.raises(ApiError) as refused:
        change_plan_terms("startup", changes, effective_on=dt.date(2027, 1, 1), by_label="olga")
    assert refused.value.status == 422
    assert PlanVersion.objects.filter(plan__code="startup").count() == 1


def test_a_plan_of_the_operators_own(acme: Organization) -> None:
    terms = Terms("Northbound agreement", 9, False, 10**12, 400_000_000, Overage.CHARGE, None, None, ("team_usage",))
    made = create_plan("northbound", terms, by_label="olga")
    assert terms_of(made) == terms
    contract = subscribed(acme, "northbound")
    assert contract.allowance(contract.period(TODAY)) == 400_000_000
    with pytest.raises(ApiError, match="already"):
        create_plan("northbound", terms, by_label="olga")
    with pytest.raises(ApiError) as refused:
        create_plan("North bound", terms, by_label="olga")
    assert refused.value.param == "code"


def test_versions_are_never_changed_or_removed() -> None:
    for statement in ("UPDATE billing_planversion SET base_fee_nanos = 0", "DELETE FROM billing_planversion"):
        with connection.cursor() as cursor:
            cursor.execute(statement)
            assert cursor.rowcount == 0
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO billing_plan (code) VALUES ('mine')")
