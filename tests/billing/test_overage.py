"""Overage of periods: which days charge, what was left of the allowance, and the sum of both."""

from __future__ import annotations

import datetime as dt

import pytest

from accounts.models import Organization
from billing.contracts import Contract
from billing.overage import overage_of
from billing.subscriptions import change_plan
from metering.events import Usage
from tests.billing.plans import BY, on, subscribed
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
NOVEMBER = dt.date(2026, 11, 1)
IN_NANOS = 2_501


def used(organization: Organization, day: str, tokens: int) -> None:
    write(organization.pk, [make_event(f"{day}-{tokens}", on(day), usage=Usage(input=tokens))])


def overage(organization: Organization, until: dt.datetime | None = None) -> tuple[int, int] | None:
    contract = Contract.load(organization)
    assert contract is not None
    found = overage_of(contract, contract.period(NOVEMBER), until)
    return None if found is None else (found.tokens, found.cost_nanos)


def test_tokens_over_at_the_price_of_their_events(acme: Organization) -> None:
    subscribed(acme, "developer", on("2026-10-05"))
    used(acme, "2026-11-03", 4_999_000)
    used(acme, "2026-11-20", 3_000)
    used(acme, "2026-11-21", 500)
    assert overage(acme) == (2_500, 2_500 * IN_NANOS)
    assert overage(acme, until=on("2026-11-20")) == (0, 0)
    assert overage(acme, until=on("2026-11-21")) == (2_000, 2_000 * IN_NANOS), "so far"


def test_below_the_allowance(acme: Organization) -> None:
    subscribed(acme, "developer", on("2026-10-05"))
    used(acme, "2026-11-03", 5_000_000)
    assert overage(acme) == (0, 0)


def test_other_periods_are_their_own(acme: Organization) -> None:
    subscribed(acme, "developer", on("2026-10-05"))
    used(acme, "2026-10-30", 4_000_000)
    used(acme, "2026-11-03", 4_000_000)
    assert overage(acme) == (0, 0)


@pytest.mark.parametrize("code", ["free", "prepaid", "enterprise"])
def test_plans_without_overage(acme: Organization, code: str) -> None:
    subscribed(acme, code, on("2026-10-05"))
    used(acme, "2026-11-03", 9_000_000)
    assert overage(acme) is None


def test_only_days_on_a_plan_that_charges(acme: Organization) -> None:
    """Over the free allowance on the 3rd: not charged, and nothing is left of the period's when charging begins."""
    subscribed(acme, "free", on("2026-10-05"))
    used(acme, "2026-11-03", 1_800_000)
    change_plan(acme, "developer", by=BY, at=on("2026-11-21"))
    used(acme, "2026-11-22", 7_000)
    assert overage(acme) == (7_000, 7_000 * IN_NANOS)


def test_what_was_left_is_included(acme: Organization) -> None:
    """1,733,334 tokens in all: the mean of 20 free days and 10 of Developer."""
    subscribed(acme, "free", on("2026-10-05"))
    used(acme, "2026-11-03", 90_000)
    change_plan(acme, "developer", by=BY, at=on("2026-11-21"))
    used(acme, "2026-11-22", 1_650_000)
    assert overage(acme) == (6_666, 6_666 * IN_NANOS)


def test_an_upgrade_makes_no_overage_of_what_was_included(acme: Organization) -> None:
    subscribed(acme, "developer", on("2026-10-05"))
    used(acme, "2026-11-03", 5_000_000)
    change_plan(acme, "startup", by=BY, at=on("2026-11-29"))
    assert overage(acme) == (0, 0)


def test_a_trial_is_not_charged(acme: Organization) -> None:
    subscribed(acme, "developer", on("2026-11-01"), with_trial=True)
    used(acme, "2026-11-03", 5_500_000)
    used(acme, "2026-11-15", 10)
    assert overage(acme) == (10, 10 * IN_NANOS), "the trial ended with the 14th"
