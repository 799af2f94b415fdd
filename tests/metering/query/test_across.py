"""What the operator adds up is what every organization sees itself, to the last digit."""

from __future__ import annotations

import datetime as dt
from functools import reduce
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization
from core.errors import ApiError
from core.periods import day_start
from core.tenancy import unscoped
from metering.query.across import AcrossQuery, run_across
from metering.query.metrics import Figures
from metering.query.plan import Source
from metering.query.run import run
from metering.query.spec import UsageQuery
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
FIRST, UNTIL = dt.date(2026, 3, 1), dt.date(2026, 4, 1)
MODELS = ("gpt-4o", "claude-x", "odd-one", "free-one")
PROVIDERS = {"gpt-4o": "openai", "claude-x": "anthropic", "odd-one": "own", "free-one": None}


@pytest.fixture
def organizations(acme: Organization, globex: Organization) -> list[Organization]:
    """Three zones: Berlin (whose clocks change in March), New York, and Kathmandu at +5:45. Each has its edges."""
    with unscoped("test cast"):
        studio = Organization.objects.create(name="Studio", slug="studio", timezone="Asia/Kathmandu")
        Organization.objects.create(name="Nobody yet", slug="nobody-yet", timezone="UTC")
    found = [acme, globex, studio]
    for number, organization in enumerate(found):
        start = day_start(FIRST, organization.zone)
        hours = [-30, -1, 0, 1, 5, 20, 24, 100, 300, 600, 700, 742, 743, 744, 790]
        write(
            organization.pk,
            [
                make_event(
                    f"e{hour}",
                    start + dt.timedelta(hours=hour, minutes=7),
                    MODELS[(place + number) % 4],
                    provider=PROVIDERS[MODELS[(place + number) % 4]],
                    status="error" if place % 5 == 0 else "success",
                )
                for place, hour in enumerate(hours)
            ],
        )
    return found


def own(organization: Organization, **other: Any) -> Any:
    zone = organization.zone
    return run(UsageQuery(organization.pk, day_start(FIRST, zone), day_start(UNTIL, zone), zone, **other))


def total(figures: list[Figures]) -> Figures:
    return reduce(Figures.__add__, figures, Figures())


def test_totals_are_the_sum_of_what_each_organization_sees(organizations: list[Organization]) -> None:
    found = run_across(AcrossQuery(FIRST, UNTIL))
    assert found.totals == total([own(organization).totals for organization in organizations])
    assert found.totals.requests > 0
    assert found.source is Source.DAY


@pytest.mark.parametrize("interval", ["day", "week", "month"])
def test_each_bucket_is_the_sum_of_the_organizations_own(organizations: list[Organization], interval: Any) -> None:
    found = run_across(AcrossQuery(FIRST, UNTIL, interval=interval))
    owns = [own(organization, interval=interval).rows for organization in organizations]
    assert [row.figures for row in found.rows] == [
        total([rows[place].figures for rows in owns]) for place in range(len(found.rows))
    ]


def test_every_source_gives_the_same_figures(organizations: list[Organization]) -> None:
    for interval in (None, "day"):
        for group_by in ((), ("organization",), ("model",), ("provider",), ("organization", "model")):
            query = AcrossQuery(FIRST, UNTIL, interval, group_by)
            answers = [run_across(query, source) for source in (Source.DAY, Source.HOUR, Source.EVENTS)]
            assert answers[0].rows == answers[1].rows == answers[2].rows, query
            assert answers[0].totals == answers[2].totals


def test_by_organization_each_row_is_its_own_total(organizations: list[Organization]) -> None:
    found = run_across(AcrossQuery(FIRST, UNTIL, group_by=("organization",)))
    assert {row.group["organization"].key: row.figures for row in found.rows} == {
        organization.slug: own(organization).totals for organization in organizations
    }


def test_a_model_is_one_wherever_it_is_used(organizations: list[Organization]) -> None:
    found = run_across(AcrossQuery(FIRST, UNTIL, group_by=("model",)))
    owns = [row for one in organizations for row in own(one, group_by=("model",)).rows]
    for row in found.rows:
        name = row.group["model"].key
        assert row.figures == total([other.figures for other in owns if other.group["model"].key == name])
    assert {row.group["model"].key for row in found.rows} == set(MODELS)


@pytest.mark.parametrize(
    ("filters", "source"),
    [
        ({"model": ("gpt-4o", "odd-one")}, Source.DAY),
        ({"model": ("nobody-uses-it",)}, Source.DAY),
        ({"provider": (None,)}, Source.DAY),
        ({"provider": ("openai",), "model": ("gpt-4o",)}, Source.HOUR),
        ({"status": ("error",), "model": ("gpt-4o",)}, Source.EVENTS),
    ],
)
def test_filters_hold_in_every_organization(
    organizations: list[Organization], filters: dict[str, tuple[str | None, ...]], source: Source
) -> None:
    found = run_across(AcrossQuery(FIRST, UNTIL, filters=filters))
    assert found.totals == total([own(organization, filters=filters).totals for organization in organizations])
    assert found.source is source


def test_one_organization_alone_is_what_it_sees(organizations: list[Organization]) -> None:
    found = run_across(AcrossQuery(FIRST, UNTIL, filters={"organization": ("studio",)}))
    assert found.totals == own(organizations[2]).totals


def test_an_organization_without_usage_adds_nothing(organizations: list[Organization]) -> None:
    assert run_across(AcrossQuery(FIRST, UNTIL, filters={"organization": ("nobody-yet",)})).totals == Figures()


@pytest.mark.parametrize("name", ["project", "member", "api_key", "chat", "tag.x", "nonsense"])
def test_what_is_an_organizations_own_affair_is_refused(name: str) -> None:
    with pytest.raises(ApiError) as refused:
        AcrossQuery(FIRST, UNTIL, group_by=(name,))
    assert refused.value.status == 422


def test_an_unknown_organization_is_refused(organizations: list[Organization]) -> None:
    with pytest.raises(ApiError, match="no organization 'initech'"):
        run_across(AcrossQuery(FIRST, UNTIL, filters={"organization": ("initech",)}))


def test_the_number_of_queries_does_not_grow(organizations: list[Organization]) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            run_across(AcrossQuery(FIRST, UNTIL, "day", ("organization",)))
        return len(captured)

    before = queries()
    for number in range(5):
        with unscoped("test cast"):
            more = Organization.objects.create(name=f"More {number}", slug=f"more-{number}", timezone="Asia/Tokyo")
        write(more.pk, [make_event("one", day_start(FIRST, more.zone), f"model-{number}")])
    assert queries() == before
