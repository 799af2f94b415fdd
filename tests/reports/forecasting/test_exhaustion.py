"""The day something is used up: by the totals that are told, within its own period, and never when it lasts."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils.timezone import now
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Organization, Team, User
from billing.budgets.reach import Reach
from billing.budgets.records import create_budget
from billing.credits.wallets import grant
from billing.models import Budget
from billing.subscriptions import start_subscription
from core.periods import local_day, month_start, next_month
from core.tenancy import organization_scope
from reports.forecasting.ahead import Ahead, Elapsed, RunsOut
from reports.forecasting.exhaustion import Exhaustion, State, exhaustions
from reports.forecasting.outlook import Band, Outlook
from reports.forecasting.records import fresh
from reports.forecasting.subjects import WHOLE, Subject
from tests.billing.plans import BY
from tests.cast import membership_of
from tests.reports.forecasting.daily import TOKEN, use

TODAY = dt.date(2026, 11, 22)
DAY = dt.timedelta(days=1)
MORNING = Elapsed(0, 86_400)


def outlook(days: list[int]) -> Outlook:
    """Likely just these, and between half and twice of them."""
    bands = tuple(Band(day // 2, day, day * 2) for day in days)
    sums = [sum(days[: at + 1]) for at in range(len(days))]
    return Outlook(TODAY, bands, tuple(Band(one // 2, one, one * 2) for one in sums), "", "", None, (), ())


# ── By itself ──


def test_it_is_used_up_on_the_day_its_total_is_reached() -> None:
    ahead = Ahead.of(outlook([10] * 10), MORNING)
    assert ahead.runs_out(30) == RunsOut(TODAY + DAY, TODAY + 2 * DAY, TODAY + 5 * DAY)
    assert ahead.runs_out(31) == RunsOut(TODAY + DAY, TODAY + 3 * DAY, TODAY + 6 * DAY)
    assert ahead.runs_out(101) == RunsOut(TODAY + 5 * DAY, None, None)
    assert ahead.runs_out(201) == RunsOut(None, None, None)


def test_days_behind_a_period_are_none_of_its_own() -> None:
    runs_out = Ahead.of(outlook([10] * 10), MORNING).runs_out(30)
    assert runs_out.before(TODAY + 5 * DAY) == RunsOut(TODAY + DAY, TODAY + 2 * DAY, None)
    assert runs_out.before(TODAY + DAY) == RunsOut(None, None, None)


def test_of_today_only_the_part_that_is_not_over_is_to_come() -> None:
    whole, half = Ahead.of(outlook([10, 20]), MORNING), Ahead.of(outlook([10, 20]), Elapsed(43_200, 86_400))
    assert half.totals[0] == Band(2, 5, 10)
    assert (whole.totals[1].likely, half.totals[1].likely) == (30, 25)
    assert half.until(TODAY) == Band(0, 0, 0)
    assert half.until(TODAY + 2 * DAY) == half.totals[1]
    assert half.until(TODAY + 3 * DAY) is None


def test_the_worked_example() -> None:
    """Of docs/algorithms/planning.md: $12.60 today, $88.90 in nine days, at six in the evening."""
    cents = [Band(1_000, 1_260, 1_500)] + [Band(0, 0, 0)] * 8
    totals = [cents[0]] * 8 + [Band(8_000, 8_890, 9_900)]
    said = Outlook(TODAY, tuple(cents), tuple(totals), "", "", None, (), ())
    assert Ahead.of(said, Elapsed(18 * 3600, 24 * 3600)).until(TODAY + 9 * DAY) == Band(7_150, 7_945, 8_848)


def test_days_have_as_many_seconds_as_they_have() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    at = dt.datetime(2026, 10, 25, 12, tzinfo=berlin)
    assert Elapsed.of(at, berlin) == Elapsed(13 * 3600, 25 * 3600)


@given(
    st.lists(st.integers(0, 10**13), min_size=1, max_size=31),
    st.integers(0, 86_400),
    st.integers(1, 10**15),
)
def test_ranges_stay_in_order(days: list[int], passed: int, remaining: int) -> None:
    ahead = Ahead.of(outlook(days), Elapsed(passed, 86_400))
    assert all(0 <= total.low <= total.likely <= total.high for total in ahead.totals)
    for before, after in pairwise(ahead.totals):
        assert before.low <= after.low
        assert before.likely <= after.likely
        assert before.high <= after.high
    far = dt.date.max
    runs_out = ahead.runs_out(remaining)
    assert (runs_out.early or far) <= (runs_out.likely or far) <= (runs_out.late or far)


# ── Of an organization ──


def found(organization: Organization, subject: Subject = WHOLE, **other: Any) -> dict[str, Exhaustion]:
    with organization_scope(organization.pk):
        bounds = exhaustions(organization, subject, now(), **{"reach": Reach.whole(), "with_credits": True, **other})
    return {one.label: one for one in bounds}


def budget(
    organization: Organization, amount: int, name: str, scope: str = "organization", ref: int = 0, **fields: Any
) -> Budget:
    return create_budget(
        organization, {"scope": scope, "ref": ref, "amount": amount, "name": name, **fields}, Reach.whole(), by=BY
    )


@pytest.mark.django_db
def test_budgets_by_how_soon_they_are_used_up(acme: Organization, search: Team) -> None:
    use(acme, 40, today=10)
    today = local_day(now(), acme.zone)
    forecast = fresh(acme, [(WHOLE, "cost")], now())[WHOLE, "cost"].outlook
    assert forecast is not None
    span = {"period": "custom", "starts_on": today, "ends_on": today + 20 * DAY}
    used = 10 * TOKEN
    budget(acme, used + forecast.totals[9].likely, "ten days", **span)
    budget(acme, used + forecast.totals[30].high * 2, "for ever", **span)
    budget(acme, used, "spent", **span)
    budget(acme, 10**12, "long", period="custom", starts_on=today, ends_on=today + 60 * DAY)
    budget(acme, 10**9, "to come", period="custom", starts_on=today + DAY, ends_on=today + 20 * DAY)
    budget(acme, 10**9, "of nobody", "team", search.pk)
    bounds = found(acme)
    # Some of today is over: what was likely of that part is used up, or was not used and stays.
    assert bounds["ten days"].runs_out.likely in (today + 9 * DAY, today + 10 * DAY)
    assert list(bounds) == ["spent", "ten days", "for ever", "long", "of nobody"]
    assert [one.state for one in bounds.values()] == [
        State.USED_UP, State.LIKELY, State.LASTS, State.BEYOND, State.TOO_LITTLE_HISTORY,
    ]  # fmt: skip
    assert {name for name, one in found(acme, Subject("team", search.pk)).items()} == {"of nobody"}


@pytest.mark.django_db
def test_the_allowance_and_credits_of_a_plan(acme: Organization, alice_client: Client, acme_api: Client) -> None:
    use(acme, 40)
    start_subscription(acme, "startup", by=BY)
    bounds = found(acme)
    (allowance,) = bounds.values()
    today = local_day(now(), acme.zone)
    assert (allowance.kind, allowance.measure) == ("allowance", "tokens")
    assert (allowance.starts_on, allowance.ends_on) == (month_start(today), next_month(today))
    (told,) = acme_api.get("/v1/forecast").json()["exhaustion"]
    assert (told["kind"], told["unit"], told["amount"]) == ("allowance", "tokens", allowance.amount)


@pytest.mark.django_db
def test_who_may_not_see_a_budget_is_not_told_when_it_ends(
    acme: Organization, bob: User, bob_client: Client, vera_client: Client, search: Team
) -> None:
    use(acme, 40, user=bob.email)
    row = budget(acme, 10**12, "everybody's")
    own = budget(acme, 10**12, "bob's own", "member", membership_of(bob, acme).pk)
    assert [one["bound"].budget for one in vera_client.get("/o/acme/forecast/").context["bounds"]] == [own, row]
    assert [one["bound"].budget for one in bob_client.get("/o/acme/forecast/").context["bounds"]] == [own]


@pytest.mark.django_db
def test_credits_have_no_end(acme: Organization) -> None:
    use(acme, 40)
    start_subscription(acme, "prepaid", by=BY)
    grant(acme, 10**12, "gift", by=BY)
    (bound,) = found(acme).values()
    assert (bound.kind, bound.ends_on, bound.state) == ("credits", None, State.BEYOND)
    assert bound.amount - bound.used == 10**12
    assert found(acme, with_credits=False) == {}


@pytest.mark.django_db
def test_a_budgets_own_page_says_the_same_day(acme: Organization, alice_client: Client) -> None:
    use(acme, 40, today=10)
    today = local_day(now(), acme.zone)
    forecast = fresh(acme, [(WHOLE, "cost")], now())[WHOLE, "cost"].outlook
    assert forecast is not None
    row = budget(
        acme, forecast.totals[4].likely, "five days", period="custom", starts_on=today, ends_on=today + 20 * DAY
    )
    (listed,) = alice_client.get("/o/acme/forecast/").context["bounds"]
    own = alice_client.get(f"/o/acme/budgets/{row.pk}/").context["lasting"]
    assert own["bound"].state == State.LIKELY
    assert (own["when"], own["between"]) == (listed["when"], listed["between"])
