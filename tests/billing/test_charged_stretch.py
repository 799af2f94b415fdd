"""What is over the allowance is charged for days on plans that charge it, and for no others."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Organization
from billing.contracts import Contract
from billing.models import Overage, Plan, PlanVersion
from billing.plans import Terms, create_plan
from billing.subscriptions import change_plan, is_immediate
from billing.timeline import Decision
from core.money import NANOS_PER_USD
from tests.billing.plans import BY, on, subscribed

FIRST = dt.date(2026, 11, 1)
FLAT = Terms("Flat", 9, True, 300 * NANOS_PER_USD, 50_000_000, Overage.REFUSE, None, None)


def version(code: str, overage: Overage) -> PlanVersion:
    return PlanVersion(
        plan=Plan(code=code), number=1, name=code, effective_on=dt.date(2000, 1, 1), overage=overage, allowance_tokens=0
    )


VERSIONS = {overage.value: [version(overage.value, overage)] for overage in Overage}
DECISIONS = st.lists(
    st.tuples(st.integers(0, 75), st.sampled_from(sorted(VERSIONS)), st.booleans()), min_size=1, max_size=6
)


@given(DECISIONS)
def test_it_never_covers_days_of_another_plan_or_a_trial(decided: list[tuple[int, str, bool]]) -> None:
    """Whatever was decided, in whatever order."""
    contract = Contract(
        1, ZoneInfo("UTC"), 1,
        tuple(Decision(n, FIRST + dt.timedelta(days=day), code, trial) for n, (day, code, trial) in enumerate(decided)),
        VERSIONS,
    )  # fmt: skip
    for month in (11, 12):
        period = contract.period(dt.date(2026, month, 1))
        charged_from = contract.charged_from(period)
        charged = [stay for stay in contract.stays(period) if stay.is_charged]
        if charged_from is None:
            assert not charged or not contract.stays(period)[-1].is_charged
            continue
        covered = [stay for stay in contract.stays(period) if stay.segment.ends_on > charged_from]
        assert all(stay.is_charged for stay in covered)
        assert covered[0].segment.starts_on == charged_from
        assert covered[-1].segment.ends_on == period.ends_on


@given(st.sampled_from(Overage), st.integers(0, 5), st.integers(0, 5), st.none() | st.integers(0, 5))
def test_a_plan_that_charges_is_left_for_another_when_the_period_ends(
    overage: Overage, fee: int, other_fee: int, allowance: int | None
) -> None:
    present = PlanVersion(overage=Overage.CHARGE, base_fee_nanos=fee, allowance_tokens=0)
    other = PlanVersion(overage=overage, base_fee_nanos=other_fee, allowance_tokens=allowance)
    assert is_immediate(present, other) == (overage == Overage.CHARGE and other_fee >= fee)


@pytest.mark.django_db
def test_a_larger_plan_that_refuses_begins_with_the_next_period(acme: Organization) -> None:
    create_plan("flat", FLAT, by_label="test")
    subscribed(acme, "startup", on("2026-11-01"))
    contract = change_plan(acme, "flat", by=BY, at=on("2026-11-11"))
    november, december = contract.period(FIRST), contract.period(dt.date(2026, 12, 1))
    assert [stay.version.name for stay in contract.stays(november)] == ["Startup"]
    assert [stay.version.name for stay in contract.stays(december)] == ["Flat"]
    assert (contract.charged_from(november), contract.charged_from(december)) == (FIRST, None)
