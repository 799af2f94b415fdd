"""What is printed is what the ledger has, to the last digit; lists sum to it; a team's report speaks of nobody else."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.template.loader import render_to_string
from django.utils.timezone import now

from accounts.audit import Actor
from accounts.models import Organization, Project, Team, User
from billing.budgets.reach import Reach
from billing.budgets.records import create_budget
from billing.models import Budget
from core import figures as words
from core.tenancy import organization_scope
from metering.events import Usage
from metering.query.run import run
from metering.query.spec import UsageQuery
from reports.models import Insight
from reports.monthly import charts
from reports.monthly.around import look_around
from reports.monthly.document import Stamp, context
from reports.monthly.drivers import drivers_of
from reports.monthly.figures import MonthFigures, Whose, read
from reports.monthly.month import Month
from reports.monthly.phrases import alike
from reports.monthly.tables import MOST_ROWS, centers_of, table_of
from tests.metering.query.usage import make_event, write
from tests.reports.monthly.usage import (
    APRIL_NANOS,
    MAY,
    MAY_NANOS,
    at,
    cost,
    events,
    made,
    text_of,
    write_may,
)
from tests.reports.test_teams import leads

pytestmark = pytest.mark.django_db
BY = Actor.of_command("test")


@pytest.fixture
def used(acme: Organization, bob: User, website: Project) -> None:
    write_may(acme, bob, website)


def figures(acme: Organization, team: Team | None = None) -> MonthFigures:
    with organization_scope(acme.pk):
        return read(Whose(acme, team), MAY)


def placed(acme: Organization, team: Team | None = None) -> dict[str, Any]:
    with organization_scope(acme.pk):
        found = read(Whose(acme, team), MAY)
        return context(found, look_around(found), Stamp(now(), 0, "/"))


def test_every_part_comes_to_the_totals_of_the_dashboard(acme: Organization, used: None) -> None:
    found = figures(acme)
    whole = run(UsageQuery(acme.pk, MAY.starts_at, MAY.ends_at, MAY.zone)).totals
    assert found.totals == whole == found.recounted
    assert (found.totals.known_cost_nanos, found.totals.unpriced_tokens) == (MAY_NANOS, 123)
    assert found.before is not None
    assert found.before.known_cost_nanos == APRIL_NANOS
    assert found.year_before is None, "the ledger begins later"
    assert sum(figure.known_cost_nanos for _, figure in found.days) == MAY_NANOS
    assert len(found.days) == 31
    for one in found.by["model"]:
        of_days = sum(nanos for (ref, _), nanos in found.model_days.items() if ref == one.groups[0].ref)
        assert of_days == one.now.known_cost_nanos
    for dimension in found.by:
        table = table_of(found, dimension)
        assert sum(row.now.known_cost_nanos for row in table.rows) == MAY_NANOS
        assert sum(row.now.total_tokens for row in table.rows) == whole.total_tokens
        assert sum(row.before.known_cost_nanos for row in table.rows if row.before) == APRIL_NANOS
    with organization_scope(acme.pk):
        centers = centers_of(found)
    assert sum(one.total_nanos or 0 for one in centers) == MAY_NANOS


def test_drivers_sum_to_the_difference(acme: Organization, used: None) -> None:
    found = figures(acme)
    drivers = drivers_of(found)
    assert sum(one.nanos for one in drivers) == found.change == MAY_NANOS - APRIL_NANOS
    assert [(one.label, one.nanos, one.why) for one in drivers[:2]] == [
        ("claude without a project", cost(50_000, 900), "New this month"),
        ("gpt-4o in Website", cost(15_000, -10), "49.8% more tokens, $2.52 a million instead of $2.53"),
    ]
    assert (drivers[2].label, drivers[2].nanos, drivers[2].why) == (
        "o1 without a project",
        -cost(9_000),
        "Not used any more",
    )


def test_many_values_are_bounded_and_still_sum(acme: Organization, bob: User, website: Project, used: None) -> None:
    write(
        acme.pk,
        [make_event(f"m{n}", at("2026-05-30"), f"model-{n:02}", Usage(input=100 + n)) for n in range(40)],
    )
    found = figures(acme)
    table = table_of(found, "model")
    assert len(table.rows) == MOST_ROWS + 1, "with those that were used in April alone"
    assert [row.label for row in table.rows[-2:]] == ["25 others", "1 not used this month"]
    assert table.count == 44
    assert sum(row.now.known_cost_nanos for row in table.rows) == found.totals.known_cost_nanos
    drivers = drivers_of(found)
    assert (len(drivers), drivers[-1].label) == (4, "Everything else")
    assert drivers[0].label == "claude without a project"
    assert sum(one.nanos for one in drivers) == found.change


def test_the_paper(acme: Organization, search: Team, used: None) -> None:
    with organization_scope(acme.pk):
        create_budget(acme, {"scope": "organization", "amount": 100_000_000}, Reach.whole(), by=BY)
        Budget.objects.update(created_at=at("2026-04-01"))
    report = made(acme)
    pages = text_of(report)
    first, text = pages[0], " ".join(pages)
    for said in (
        f"Acme spent {words.money(MAY_NANOS)} on language models",
        "of the budget of $0.10",
        "Budget used",
        words.money_exact(MAY_NANOS),
        "difference 0",
        "123 tokens of 1 request have no price",
        "claude without a project",
        "June 2026 is likely to come to",
        "Page 1 of",
    ):
        assert said in first, said
    for section in ("Models", "Teams", "Departments", "Cost centers", "Projects", "Features", "Budgets"):
        assert section in text, section
    assert f"Sat 2 May {words.money(cost(1000, 10))}" in text
    assert "CC-100" in text
    assert "No department" in text
    assert (report.known_cost_nanos, report.before_nanos, report.requests) == (MAY_NANOS, APRIL_NANOS, 12)
    assert report.size_bytes == len(bytes(report.content)) < 1_000_000


def test_a_month_of_nothing_is_one_page(acme: Organization, bob: User) -> None:
    write(acme.pk, [make_event("x", at("2026-04-10"), usage=Usage(input=1_000_000))])
    report = made(acme)
    [page] = text_of(report)
    assert "Acme used nothing in May 2026: no call was recorded, and nothing was spent." in page
    assert f"In April 2026, recorded since 10 April, it had spent {words.money(cost(1_000_000))}." in page


def test_a_part_of_a_month_is_not_held_against_a_whole_one(acme: Organization, bob: User, website: Project) -> None:
    """The record of every customer begins within a month."""
    write(acme.pk, events(bob)[:-1])
    found = figures(acme)
    assert (found.before, found.change, found.months[-2][1] is not None) == (None, None, True)
    assert sum(one.nanos for one in drivers_of(found)) == MAY_NANOS
    shown = placed(acme)
    assert shown["lead"] == f"Acme spent {words.money(MAY_NANOS)} on language models."
    assert [card["note"] for card in shown["cards"] if card["label"] == "From April"] == ["recorded since 10 Apr 2026"]
    assert shown["drivers"]["title"] == "What it went on in May"
    assert shown["trend"]["part"] == "April 2026 is recorded since 10 April, which is a part of the month."
    assert not any(section["has_before"] for section in shown["sections"])
    with organization_scope(acme.pk):
        april = read(Whose(acme), MAY.before)
        shown = context(april, look_around(april), Stamp(now(), 0, "/"))
    assert "on language models since 10 April, when its record begins." in shown["lead"]


def test_what_is_not_shown_has_no_row_of_its_own(acme: Organization, bob: User, used: None) -> None:
    """Used a year ago in a month that is not compared, because the record began within it."""
    write(acme.pk, [make_event("old", at("2025-05-20"), "old-model", Usage(input=5))])
    table = table_of(figures(acme), "model")
    assert [row.label for row in table.rows if row.slot == "other"] == ["1 not used this month"], "o1, of April"
    assert sum(row.before.requests for row in table.rows if row.before) == 2


def test_totals_have_the_star_of_their_rows(acme: Organization, used: None) -> None:
    shown = placed(acme)
    assert all(section["total"]["is_partial"] for section in shown["sections"])
    assert (shown["centers"]["is_partial"], shown["centers"]["is_shared_partial"]) == (True, True)
    assert shown["centers"]["rows"][0]["is_partial"]
    paper = render_to_string("pdf/monthly_report.html", shown)
    assert paper.count('class="r partial"') == sum(
        one["is_partial"] for section in shown["sections"] for one in (*section["rows"], section["total"])
    ) + 2 * (len(shown["centers"]["rows"]) + 1) + sum(day["is_partial"] for day in shown["every_day"])


def test_advice_says_which_days_it_is_from(acme: Organization, search: Team, used: None) -> None:
    paper = render_to_string("pdf/monthly_report.html", placed(acme))
    assert "no advice that saves anything was open" in paper
    with organization_scope(acme.pk):
        Insight.objects.create(
            organization=acme, kind="batch_tier", subject="x", title="Use batches", text="…", effort="low",
            starts_at=at("2026-05-20", 0), ends_at=at("2026-06-19", 0), checked_at=at("2026-06-19"),
            found_at=at("2026-06-19"), cost_nanos=1, evidence_count=1, low_nanos=1, likely_nanos=2_000_000_000,
            high_nanos=3_000_000_000,
        )  # fmt: skip
    paper = render_to_string("pdf/monthly_report.html", placed(acme))
    assert "from the usage of 20 May to 19 Jun 2026" in paper
    # A team's advice is not looked for: nothing is said of it.
    paper = render_to_string("pdf/monthly_report.html", placed(acme, search))
    assert "What to do next" not in paper
    assert "advice" not in paper.lower()


def test_closed_budgets_are_kept_or_exceeded(acme: Organization, used: None) -> None:
    with organization_scope(acme.pk):
        for amount in (100_000_000, MAY_NANOS * 20 // 19):
            create_budget(acme, {"scope": "organization", "amount": amount, "name": str(amount)}, Reach.whole(), by=BY)
        Budget.objects.update(created_at=at("2026-04-01"))
    assert sorted(row["status"] for row in placed(acme)["budgets"]) == ["Exceeded", "Kept"]


def test_what_stands_side_by_side_has_the_same_digits() -> None:
    assert alike(9_000_000, 10_400_000) == ["$0.0090", "$0.0104"]
    assert alike(1_500_000_000, 10_400_000) == ["$1.50", "$0.01"]
    assert alike(9_000_000, None) == ["$0.0090", words.UNKNOWN]


def test_a_team_s_report_says_nothing_of_others(acme: Organization, bob: User, search: Team, used: None) -> None:
    with organization_scope(acme.pk):
        other = Team.objects.create(organization=acme, name="Elsewhere", slug="elsewhere")
        Project.objects.create(organization=acme, team=other, name="Moon", slug="moon")
        create_budget(acme, {"scope": "team", "ref": other.pk, "amount": 7_000}, Reach.whole(), by=BY)
        Budget.objects.update(created_at=at("2026-04-01"))
    leads(bob, search)
    write(acme.pk, [make_event("moon", at("2026-05-12"), "moon-model", Usage(input=77_777), project="moon")])
    found = figures(acme, search)
    own = cost(45_000, 90) + cost(50_000, 900)
    assert found.totals.known_cost_nanos == own
    assert set(found.by) == {"model", "member", "project", "feature"}
    shown = repr(placed(acme, search))
    assert words.money_exact(own) in shown
    for secret in ("Elsewhere", "Moon", "moon-model", "77,777", words.money_exact(MAY_NANOS), "gpt-4o-mini"):
        assert secret not in shown, secret


def test_charts_have_the_pages_colors_and_words() -> None:
    tokens = (Path(__file__).resolve().parents[3] / "static/css/tokens.css").read_text()
    light = tokens[tokens.index("3 Light") : tokens.index("4 Dark", tokens.index("3 Light") + 400)]
    assert tuple(re.findall(r"--tl-series-\d+: (#[0-9a-f]{6})", light)[:10]) == charts.SERIES
    assert charts.ticks_of(2_910_000_000) == [0, 1e9, 2e9, 3e9]
    assert [charts.short_money(nanos) for nanos in (0, 4_200_000_0, 37_000_000_000, 2_252_300_000_000)] == [
        "$0",
        "$0.04",
        "$37.00",
        "$2.25K",
    ]
    assert charts.short_money(65_600_000_000) == words.money(65_600_000_000), "as on the cards"
    drawn = charts.month_bars("Spend <now>", [charts.Bar("May", 5, "now"), charts.Bar("Jun", None)], 7)
    assert "<title>Spend &lt;now&gt;</title>" in drawn
    assert "Budget" in drawn


@pytest.mark.parametrize(
    ("zone", "first", "hours"),
    [("Asia/Kathmandu", "2026-05-01", 31 * 24), ("Europe/Berlin", "2026-10-01", 31 * 24 + 1)],
)
def test_months_are_the_zone_s(acme: Organization, zone: str, first: str, hours: int) -> None:
    acme.timezone = zone
    with organization_scope(acme.pk):
        acme.save()
    month = Month(dt.date.fromisoformat(first), ZoneInfo(zone))
    assert month.ends_at - month.starts_at == dt.timedelta(hours=hours)
    second = dt.timedelta(seconds=1)
    edges = [month.starts_at - second, month.starts_at, month.ends_at - second, month.ends_at]
    write(acme.pk, [make_event(f"e{n}", edge, usage=Usage(input=10**n)) for n, edge in enumerate(edges)])
    with organization_scope(acme.pk):
        found = read(Whose(acme), month)
    assert found.totals.total_tokens == 10 + 100 == sum(one.total_tokens for _, one in found.days)
    assert found.days[0][1].total_tokens == 10
    assert found.days[-1][1].total_tokens == 100
