"""Budgets against what was used, who may set which, what is refused and what is told."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import (
    AuditEntry,
    Department,
    Membership,
    Organization,
    Project,
    Team,
    TeamMembership,
    User,
)
from billing.budgets.actuals import Actual, actuals
from billing.budgets.crossings import watch_budgets
from billing.budgets.reach import Reach
from billing.budgets.records import archive_budget, change_budget, create_budget, find, open_budgets
from billing.budgets.suggestions import suggest
from billing.models import Budget, BudgetCrossing
from billing.tasks import watch_budgets_of_all
from core.errors import ApiError
from core.facts import Fact
from core.tenancy import organization_scope
from metering.events import Usage
from metering.limits.standing import of_organization
from metering.models import Limit
from metering.pipeline import Sender
from tests.billing.plans import BY, on
from tests.cast import Key, make_member, membership_of
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
WHOLE = Reach.whole()
NOW = on("2026-11-16")
USD = 10**9
# What a prompt's token costs in these tests.
IN_NANOS = 2_501


def budget(organization: Organization, scope: str = "organization", ref: int = 0, **fields: Any) -> Budget:
    values = {"scope": scope, "ref": ref, "amount": 10 * USD, **fields}
    return create_budget(organization, values, WHOLE, by=BY)


def used(organization: Organization, day: str, tokens: int, sender: Sender | None = None, **fields: Any) -> None:
    name = f"{day}-{tokens}-{fields}"
    write(organization.pk, [make_event(name, on(day), usage=Usage(input=tokens), **fields)], sender or Sender())


def actual(one: Budget, at: dt.datetime = NOW) -> Actual:
    (found,) = actuals(one.organization, [one], at)
    return found


# ── Against what was used ──


def test_every_scope(
    acme: Organization, bob: User, website: Project, search: Team, engineering: Department, acme_key: Key
) -> None:
    bobs = membership_of(bob, acme)
    key = acme_key.row
    used(acme, "2026-11-05", 1_000)
    used(acme, "2026-11-06", 200, project="website")
    used(acme, "2026-11-07", 30, user=bob.email)
    used(acme, "2026-11-08", 4, sender=Sender(api_key_id=key.pk), feature="chat")
    used(acme, "2026-10-31", 9_999)
    found = actuals(
        acme,
        [
            budget(acme),
            budget(acme, "project", website.pk),
            budget(acme, "team", search.pk, unit="tokens", amount=1_000),
            budget(acme, "department", engineering.pk),
            budget(acme, "member", bobs.pk),
            budget(acme, "api_key", key.pk),
            budget(acme, feature="chat"),
            budget(acme, model="gpt-4o"),
            budget(acme, "api_key", key.pk, model="gpt-4o", feature="chat"),
            budget(acme, model="no-such-model"),
        ],
        NOW,
    )
    tokens = [one.figures.total_tokens for one in found]
    assert tokens == [1_234, 200, 230, 230, 30, 4, 4, 1_234, 4, 0]
    assert [one.used for one in found] == [n * IN_NANOS if at != 2 else n for at, n in enumerate(tokens)]
    assert [one.label for one in found][:6] == ["Acme", "Website", "Search", "Engineering", "Bob", "Test key"]
    assert found[0].passed == Fraction(15 * 24 + 13, 30 * 24), "one o'clock in Berlin on the 16th"


def test_dates_of_its_own(acme: Organization) -> None:
    one = budget(acme, period="custom", starts_on=dt.date(2026, 10, 15), ends_on=dt.date(2026, 11, 3))
    for day in ("2026-10-14", "2026-10-15", "2026-11-02", "2026-11-03"):
        used(acme, day, 100)
    found = actual(one)
    assert found.figures.total_tokens == 200
    assert found.passed == 1
    assert actual(one, on("2026-10-01")).passed == 0


def test_days_are_the_organizations(globex: Organization) -> None:
    """3:00 UTC on the 1st is still the month before in New York."""
    one = budget(globex)
    write(globex.pk, [make_event("a", dt.datetime(2026, 11, 1, 3, tzinfo=dt.UTC), usage=Usage(input=100))])
    assert actual(one).figures.requests == 0
    assert actual(one, on("2026-10-20")).figures.requests == 1


def test_status_is_the_highest_threshold(acme: Organization) -> None:
    one = budget(acme, unit="tokens", amount=1_000)
    assert actual(one).status is None
    for tokens, status in ((749, None), (1, "warning"), (150, "caution"), (50, "critical"), (49, "critical")):
        used(acme, "2026-11-05", tokens)
        assert actual(one).status == status
    assert not actual(one).is_exceeded
    used(acme, "2026-11-05", 2)
    assert actual(one).is_exceeded
    assert actual(one).remaining == 0


def test_what_has_no_price_is_told_beside(acme: Organization) -> None:
    one = budget(acme)
    used(acme, "2026-11-05", 100, model="odd-one")
    found = actual(one)
    assert (found.used, found.figures.cost_nanos, found.figures.unpriced_tokens) == (0, None, 100)


def test_queries_do_not_grow_with_budgets(acme: Organization) -> None:
    def statements(rows: list[Budget]) -> int:
        with CaptureQueriesContext(connection) as caught:
            actuals(acme, rows, NOW)
        return len(caught)

    with organization_scope(acme.pk):
        teams = [Team.objects.create(organization=acme, name=f"T{n}", slug=f"t{n}") for n in range(20)]
    rows = [budget(acme, "team", team.pk) for team in teams]
    assert statements(rows) == statements(rows[:2])


# ── Who may ──


@pytest.fixture
def led(acme: Organization, search: Team) -> Membership:
    """Dora administers the team Search."""
    membership = membership_of(make_member(acme, "dora", "member"), acme)  # type: ignore[arg-type]
    with organization_scope(acme.pk):
        TeamMembership.objects.create(organization=acme, team=search, membership=membership, is_admin=True)
    return membership


def test_who_sees_and_sets_what(
    acme: Organization, alice: User, fiona: User, vera: User, bob: User, led: Membership, search: Team, website: Project
) -> None:
    bobs = membership_of(bob, acme)
    whole = budget(acme)
    of_team, of_project = budget(acme, "team", search.pk), budget(acme, "project", website.pk)
    of_bob, of_dora = budget(acme, "member", bobs.pk), budget(acme, "member", led.pk)
    every = [whole, of_team, of_project, of_bob, of_dora]

    def seen(membership: Membership) -> list[Budget]:
        with organization_scope(acme.pk):
            return open_budgets(Reach.of(membership))

    def settable(membership: Membership) -> list[Budget]:
        with organization_scope(acme.pk):
            reach = Reach.of(membership)
        return [one for one in every if reach.may_set(one.scope, one.ref)]

    for user in (alice, fiona):
        assert seen(membership_of(user, acme)) == settable(membership_of(user, acme)) == every
    assert seen(membership_of(vera, acme)) == every
    assert settable(membership_of(vera, acme)) == []
    assert seen(bobs) == [of_bob]
    assert settable(bobs) == []
    assert seen(led) == [of_team, of_project, of_bob, of_dora]
    assert settable(led) == [of_team, of_project, of_bob], "nobody sets their own"


def test_beyond_ones_reach(acme: Organization, led: Membership, search: Team) -> None:
    whole, mine = budget(acme), budget(acme, "team", search.pk)
    with organization_scope(acme.pk):
        reach = Reach.of(led)
        with pytest.raises(ApiError) as unseen:
            find(whole.pk, reach)
        assert unseen.value.status == 404
    with pytest.raises(PermissionDenied):
        create_budget(acme, {"scope": "organization", "amount": USD}, reach, by=BY)
    with pytest.raises(PermissionDenied):
        change_budget(mine, {"scope": "organization", "ref": 0}, reach, by=BY)
    with pytest.raises(PermissionDenied):
        archive_budget(whole, reach, by=BY)
    change_budget(mine, {"amount": 20 * USD}, reach, by=BY)
    with organization_scope(acme.pk):
        assert Budget.objects.get(pk=mine.pk).amount == 20 * USD
        assert AuditEntry.objects.filter(action="budget.change").count() == 1


# ── Nonsense ──


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"amount": 0}, "amount"),
        ({"scope": "planet"}, "scope"),
        ({"scope": "team", "ref": 999_999}, "of"),
        ({"unit": "potatoes"}, "unit"),
        ({"period": "custom"}, "ends_on"),
        ({"period": "custom", "starts_on": dt.date(2026, 1, 2), "ends_on": dt.date(2026, 1, 2)}, "ends_on"),
        ({"thresholds": [{"percent": 0, "name": "x"}]}, "thresholds"),
        ({"thresholds": [{"percent": True, "name": "x"}]}, "thresholds"),
        ({"thresholds": [{"percent": 50, "name": ""}]}, "thresholds"),
        ({"thresholds": [{"percent": 50, "name": "x"}, {"percent": 50, "name": "y"}]}, "thresholds"),
        ({"thresholds": [{"percent": n, "name": "x"} for n in range(1, 12)]}, "thresholds"),
    ],
)
def test_budgets_that_make_no_sense(acme: Organization, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as refused:
        budget(acme, **fields)
    assert (refused.value.status, refused.value.param) == (422, param)
    with organization_scope(acme.pk):
        assert not Budget.objects.exists()


# ── Hard ones ──


def limits(organization: Organization) -> list[tuple[Any, ...]]:
    with organization_scope(organization.pk):
        rows = Limit.objects.filter(kind="budget").order_by("pk")
        return list(rows.values_list("source", "label", "unit", "amount", "period", "team_id", "model", "is_hard"))


def test_a_hard_budget_is_a_limit(acme: Organization, search: Team) -> None:
    one = budget(acme, "team", search.pk, model="gpt-4o", is_hard=True)
    row = (f"budget:{one.pk}", "The budget of Search for gpt-4o", "cost", 10 * USD, "month", search.pk, "gpt-4o", True)
    assert limits(acme) == [row]
    change_budget(one, {"amount": 500, "unit": "tokens", "name": "Spring"}, WHOLE, by=BY)
    assert limits(acme)[0][1:4] == ("The budget “Spring”", "tokens", 500)
    change_budget(one, {"is_hard": False}, WHOLE, by=BY)
    assert limits(acme) == [], "a team's use of one model is in no roll-up"
    change_budget(one, {"model": ""}, WHOLE, by=BY)
    assert [row[-1] for row in limits(acme)] == [False]
    archive_budget(one, WHOLE, by=BY)
    assert limits(acme) == []


def test_a_limit_counts_what_the_budget_says(acme: Organization, search: Team, acme_api: Client) -> None:
    now = dt.datetime.now(dt.UTC)
    one = budget(acme, "team", search.pk, is_hard=True)
    with organization_scope(acme.pk):
        Project.objects.create(organization=acme, name="P", slug="p", team=search)
    write(acme.pk, [make_event("a", now, usage=Usage(input=1_000), project="p")])
    (standing,) = of_organization(acme.pk, now)
    assert standing.used == actual(one, now).used == 1_000 * IN_NANOS


# ── What is told ──


def crossings(organization: Organization) -> list[tuple[int, str, str]]:
    with organization_scope(organization.pk):
        rows = BudgetCrossing.objects.order_by("pk")
        return [(row.percent, row.name, str(row.period_starts_on)) for row in rows]


def test_each_threshold_once_a_period(acme: Organization, told_facts: list[Fact]) -> None:
    one = budget(acme, unit="tokens", amount=1_000)
    used(acme, "2026-11-05", 760)
    watch_budgets(acme, NOW)
    watch_budgets(acme, NOW)
    used(acme, "2026-11-06", 200)
    watch_budgets(acme, NOW)
    assert crossings(acme) == [(p, n, "2026-11-01") for p, n in ((75, "warning"), (90, "caution"), (95, "critical"))]
    assert [fact.data["budget"]["id"] for fact in told_facts] == [one.pk] * 3
    # Reached at once: 90 and 95.
    assert [fact.data["is_highest"] for fact in told_facts] == [True, False, True]
    last = told_facts[-1].data
    assert (last["amount_tokens"], last["actual_tokens"], last["used_percent"], last["amount_usd"]) == (
        1_000,
        960,
        96.0,
        None,
    )
    used(acme, "2026-11-07", 40)
    watch_budgets(acme, NOW)
    assert crossings(acme)[3:] == [(100, "used up", "2026-11-01")]
    used(acme, "2026-12-02", 800)
    watch_budgets(acme, on("2026-12-05"))
    assert crossings(acme)[4:] == [(75, "warning", "2026-12-01")]


def test_the_fact_says_when_it_runs_out_at_this_pace(acme: Organization, told_facts: list[Fact]) -> None:
    budget(acme, unit="tokens", amount=1_000, period="custom", starts_on=dt.date(2026, 11, 1),
           ends_on=dt.date(2026, 12, 1), thresholds=[{"percent": 60, "name": "early"}])  # fmt: skip
    used(acme, "2026-11-05", 600)
    # Twelve of thirty days.
    watch_budgets(acme, dt.datetime(2026, 11, 13, tzinfo=acme.zone))
    [fact] = told_facts
    assert (fact.data["passed_percent"], fact.data["projected_percent"]) == (40.0, 150.0)
    assert fact.data["runs_out_on"] == "2026-11-20"


def test_who_is_told_of_a_team_s_budget(acme: Organization, search: Team, bob: User, told_facts: list[Fact]) -> None:
    owner = membership_of(bob, acme)
    budget(acme, "team", search.pk, unit="tokens", amount=1_000, owner=owner)
    with organization_scope(acme.pk):
        Project.objects.create(organization=acme, name="P", slug="p", team=search)
    write(acme.pk, [make_event("a", on("2026-11-05"), usage=Usage(input=800), project="p")])
    watch_budgets(acme, NOW)
    [fact] = told_facts
    assert (fact.kind, fact.scope, fact.ref, fact.people) == ("budget.threshold", "team", search.pk, (bob.pk,))
    assert fact.data["about"] == {"scope": "team", "of": "search", "label": "Search"}
    assert fact.data["drivers"] == [
        {"dimension": "project", "label": "P", "usd": None, "tokens": 800},
        {"dimension": "model", "label": "gpt-4o", "usd": None, "tokens": 800},
    ]


def test_a_raised_budget_tells_nothing_anew(acme: Organization) -> None:
    one = budget(acme, unit="tokens", amount=1_000)
    used(acme, "2026-11-05", 760)
    watch_budgets(acme, NOW)
    change_budget(one, {"amount": 2_000}, WHOLE, by=BY)
    used(acme, "2026-11-06", 800)
    watch_budgets(acme, NOW)
    assert len(crossings(acme)) == 1


def test_what_is_not_watched(acme: Organization) -> None:
    used(acme, "2026-11-05", 5_000)
    archive_budget(budget(acme, unit="tokens", amount=1_000), WHOLE, by=BY)
    budget(
        acme, unit="tokens", amount=1, period="custom", starts_on=dt.date(2026, 10, 1), ends_on=dt.date(2026, 11, 10)
    )
    assert watch_budgets(acme, NOW) == []


@pytest.mark.usefixtures("tasks_at_once")
def test_beat_watches_every_organization(acme: Organization, globex: Organization) -> None:
    now = dt.datetime.now(dt.UTC)
    for organization in (acme, globex):
        budget(organization, unit="tokens", amount=10)
        write(organization.pk, [make_event("a", now, usage=Usage(input=8))])
    watch_budgets_of_all()
    assert len(crossings(acme)) == len(crossings(globex)) == 1


# ── Suggestions ──


def test_suggestions(acme: Organization, search: Team, website: Project) -> None:
    for day, tokens in (("2026-08-10", 4_000_000), ("2026-09-10", 9_000_000), ("2026-10-10", 5_000_000)):
        used(acme, day, tokens, project="website")
    used(acme, "2026-11-10", 90_000_000, project="website")
    (one,) = suggest(acme, "team", WHOLE, NOW)
    assert one.months == tuple(n * IN_NANOS for n in (4_000_000, 9_000_000, 5_000_000))
    assert one.amount_nanos == 25 * USD, "22.509 and a tenth are 24.76"
    assert (one.subject.key, one.subject.label) == ("search", "Search")
    (whole,) = suggest(acme, "organization", WHOLE, NOW)
    assert whole.amount_nanos == 25 * USD
    budget(acme, "team", search.pk)
    assert suggest(acme, "team", WHOLE, NOW) == []
    assert suggest(acme, "member", WHOLE, NOW) == []
