"""Kept forecasts: one of each subject and measure, of today, made by night, by command and by looking."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils.timezone import now

from accounts.models import Organization, Project, Team
from billing.budgets.reach import Reach
from billing.budgets.records import create_budget
from core.errors import ApiError
from core.periods import day_start, local_day
from core.tenancy import ScopeError, organization_scope, unscoped
from reports import tasks
from reports.forecasting.engine import forecast
from reports.forecasting.horizons import horizons_of
from reports.forecasting.records import MEASURES, Kept, Wanted, as_made, due, fresh, make_all
from reports.forecasting.smoothing import is_installed
from reports.forecasting.subjects import WHOLE, Subject, histories, subject_of
from reports.models import Forecast
from tests.billing.plans import BY
from tests.reports.forecasting.daily import TOKEN, kept_cost, tokens_on, use

pytestmark = pytest.mark.django_db
DAYS = 40


def kept_rows(organization: Organization) -> dict[tuple[str, int, str], Forecast]:
    with organization_scope(organization.pk):
        return {(row.scope, row.ref, row.measure): row for row in Forecast.objects.all()}


def test_a_night_forecasts_everybody(acme: Organization, search: Team, website: Project) -> None:
    use(acme, DAYS, project="website", feature="chat")
    budget = create_budget(
        acme, {"scope": "team", "ref": search.pk, "feature": "chat", "amount": 10**9}, Reach.whole(), by=BY
    )
    assert make_all(acme, now()) == len(kept_rows(acme))
    rows = kept_rows(acme)
    assert {(scope, ref) for scope, ref, _ in rows} >= {
        ("organization", 0), ("team", search.pk), ("budget", budget.pk),
    }  # fmt: skip
    assert {scope for scope, _, _ in rows} == {"organization", "team", "budget"}
    for measure in MEASURES:
        whole = rows["organization", 0, measure]
        assert whole.first_day == local_day(now(), acme.zone)
        assert len(whole.days) == len(whole.totals) == 31
    # All usage is the team's: so is its forecast. Budgets are forecast in their own unit, teams in money.
    assert rows["organization", 0, "cost"].days == rows["team", search.pk, "cost"].days
    assert rows["organization", 0, "cost"].days == rows["budget", budget.pk, "cost"].days
    assert {(scope, measure) for scope, _, measure in rows if scope != "organization"} == {
        ("team", "cost"), ("budget", "cost"),
    }  # fmt: skip
    yesterday = local_day(now(), acme.zone) - dt.timedelta(days=1)
    assert rows["organization", 0, "tokens"].history[-1] == tokens_on(yesterday)
    assert rows["organization", 0, "cost"].history[-1] == tokens_on(yesterday) * TOKEN


def test_again_is_the_same_and_takes_the_place(acme: Organization) -> None:
    use(acme, DAYS)
    at = now()
    make_all(acme, at)
    before = kept_rows(acme)
    make_all(acme, at + dt.timedelta(seconds=1))
    after = kept_rows(acme)
    assert {key: row.pk for key, row in after.items()} == {key: row.pk for key, row in before.items()}
    assert all(after[key].days == before[key].days for key in before)
    assert all(after[key].made_at > before[key].made_at for key in before)


def test_looking_makes_what_is_not_there_and_keeps_it(acme: Organization, search: Team) -> None:
    use(acme, DAYS)
    at, whole = now(), (WHOLE, "cost")
    assert kept_rows(acme) == {}
    made = fresh(acme, [whole, whole], at)[whole]
    assert fresh(acme, [whole], at + dt.timedelta(minutes=1))[whole] == made
    # A day later it is made of one day more.
    later = fresh(acme, [whole], at + dt.timedelta(days=1))[whole]
    assert later.first_day == made.first_day + dt.timedelta(days=1)
    assert len(later.history) == len(made.history) + 1
    # A team that used nothing has no history, which is no error.
    nothing = fresh(acme, [(Subject("team", search.pk), "cost")], at)[Subject("team", search.pk), "cost"]
    assert (nothing.outlook, nothing.history) == (None, ())


def test_days_are_the_organizations_own(acme: Organization) -> None:
    use(acme, DAYS)
    made = fresh(acme, [(WHOLE, "tokens")], now())[WHOLE, "tokens"]
    with organization_scope(acme.pk):
        acme.timezone = "Pacific/Kiritimati"
        acme.save()
    moved = fresh(acme, [(WHOLE, "tokens")], now())[WHOLE, "tokens"]
    assert moved.first_day == local_day(now(), acme.zone)
    # Noon in Berlin is the next day there.
    assert moved.history_from == made.history_from + dt.timedelta(days=1)


def test_trials_are_had_again_exactly(acme: Organization) -> None:
    use(acme, DAYS)
    made = fresh(acme, [(WHOLE, "cost")], now())[WHOLE, "cost"]
    outlook = as_made(acme, made)
    assert outlook is not None
    assert outlook.trials
    assert outlook.measured == made.outlook.measured  # type: ignore[union-attr]
    assert horizons_of(outlook) == made.horizons
    # What another version of the product said is not told otherwise by who only reads.
    with organization_scope(acme.pk):
        Forecast.objects.update(method="an earlier one")
    stale = kept_cost(acme)
    with pytest.raises(ApiError, match="Another version"):
        as_made(acme, stale)
    assert kept_cost(acme) == stale


def test_trials_of_what_a_night_took_its_time_for_are_kept(acme: Organization) -> None:
    """So whoever lacks the extra that made it has the same trials."""
    use(acme, DAYS)
    make_all(acme, now(), is_thorough=True)
    made = kept_cost(acme)
    assert made.outlook is not None
    if is_installed():
        assert "blend of 13" in made.outlook.method
    with organization_scope(acme.pk):
        Forecast.objects.filter(scope="organization").update(history=[])
    outlook = as_made(acme, made)
    assert outlook is not None
    assert outlook.measured == made.outlook.measured
    assert horizons_of(outlook) == made.horizons
    assert {row.scope for row in kept_rows(acme).values() if row.trials} == {"organization"}


def test_three_years_tell_the_seasons_of_a_year(acme: Organization) -> None:
    """As far back as is read, days are a year's season; a query of day rollups, whatever has become of the events."""
    with organization_scope(acme.pk):
        today = local_day(now(), acme.zone)
        use(acme, 3 * 365, step=7)
        history = histories(acme, [WHOLE], today)[WHOLE]
    assert len(history.days) >= 2 * 364 + 56
    outlook = forecast(history.of("cost"), history.first)
    assert outlook is not None
    assert "blend of 13" in outlook.method
    assert "seasons of the year are told apart" in outlook.basis


def test_it_is_due_an_hour_after_the_day_has_ended(acme: Organization, globex: Organization) -> None:
    midnight = day_start(local_day(now(), acme.zone), acme.zone)

    def is_due(at: dt.datetime) -> bool:
        with unscoped("test"):
            return acme in due(at)

    assert is_due(midnight)
    # Somebody looked at half past midnight: what came late of the day is not in it.
    make_all(acme, midnight + dt.timedelta(minutes=30))
    assert not is_due(midnight + dt.timedelta(minutes=40))
    assert is_due(midnight + dt.timedelta(minutes=61))
    make_all(acme, midnight + dt.timedelta(minutes=61))
    assert not is_due(midnight + dt.timedelta(hours=20))
    assert is_due(midnight + dt.timedelta(hours=26))


def test_beat_forecasts_whose_day_has_ended(acme: Organization) -> None:
    use(acme, 20)
    tasks.forecast_of(acme.pk)
    assert ("organization", 0, "cost") in kept_rows(acme)


def test_what_nobody_asks_for_is_forgotten(acme: Organization) -> None:
    old = now() - dt.timedelta(days=50)
    fresh(acme, [(Subject("team", 7), "cost")], old)
    make_all(acme, now())
    assert ("team", 7, "cost") not in kept_rows(acme)


def test_the_command(acme: Organization, globex: Organization) -> None:
    use(acme, DAYS)
    out = StringIO()
    call_command("forecast", stdout=out)
    lines = out.getvalue().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["acme", "acme", "globex", "globex"]
    assert "too little history" in lines[-1]
    out = StringIO()
    call_command("forecast", "acme", "--json", stdout=out)
    (told,) = json.loads(out.getvalue())["organizations"].values()
    whole = kept_cost(acme)
    assert whole.outlook is not None
    assert told["cost"]["total"]["likely"] == whole.outlook.totals[-1].likely
    with pytest.raises(CommandError, match="no organization"):
        call_command("forecast", "nobody")


def test_a_budget_of_all_a_teams_usage_is_forecast_as_the_team(acme: Organization, search: Team) -> None:
    plain = create_budget(acme, {"scope": "team", "ref": search.pk, "amount": 10**9}, Reach.whole(), by=BY)
    narrow = create_budget(
        acme, {"scope": "team", "ref": search.pk, "model": "gpt-4o", "amount": 10**9}, Reach.whole(), by=BY
    )
    assert subject_of(plain) == Subject("team", search.pk)
    assert subject_of(narrow) == Subject("budget", narrow.pk)


def test_tenants_never_meet(acme: Organization, globex: Organization) -> None:
    use(acme, DAYS)
    make_all(acme, now())
    assert kept_rows(globex) == {}
    with pytest.raises(ScopeError):
        Forecast.objects.count()


@pytest.mark.django_db(transaction=True)
def test_two_that_look_first_at_once_make_it_once(acme: Organization) -> None:
    use(acme, 20)
    at, wanted = now(), [(WHOLE, measure) for measure in MEASURES]

    def look(order: int) -> dict[Wanted, Kept]:
        try:
            with organization_scope(acme.pk):
                # Each asks twice within its transaction, the other way round than the other.
                return fresh(acme, wanted[order:][:1], at) | fresh(acme, wanted[::-1], at)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(look, (0, 1))
    assert first == second
    assert len(kept_rows(acme)) == len(MEASURES)
