"""Calls are found by their files: within the scope alone, and as asking each of them would."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection

from accounts.models import Organization
from core.tenancy import organization_scope, unscoped
from metering.query.event_sql import Wanted, event_conditions
from metering.query.spec import EARLIEST, LATEST
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db
AT = dt.datetime(2026, 11, 10, 12, tzinfo=dt.UTC)
FILES: dict[str, object] = {
    "one": [{"id": "f1", "name": "A.pdf", "tokens": 5}],
    "two": [{"id": "f1"}, {"id": "f2"}],
    "other": [{"id": "f2"}],
    "odd": {"id": "f1"},
}


@pytest.fixture
def calls(acme: Organization, globex: Organization) -> Organization:
    for organization in (acme, globex):
        events = [
            make_event(f"{organization.slug}-{name}", AT - dt.timedelta(days=40 * at), detail={"files": files})
            for at, (name, files) in enumerate(FILES.items())
        ]
        write(organization.pk, [*events, make_event(f"{organization.slug}-none", AT)])
    return acme


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted(texts=("f1",)), {"one", "two"}),
        (Wanted(texts=("f1", "f2")), {"one", "two", "other"}),
        (Wanted(texts=("f2",), with_none=True), {"two", "other", "odd", "none"}),
        (Wanted(texts=("f3",)), set()),
    ],
)
def test_the_index_finds_what_asking_each_event_finds(calls: Organization, wanted: Wanted, names: set[str]) -> None:
    found = []
    for within in ((EARLIEST, LATEST), None):
        (condition,) = event_conditions({"file": wanted}, within)
        with organization_scope(calls.pk), connection.cursor() as cursor:
            cursor.execute(f"SELECT event_id FROM metering_event WHERE {condition.sql}", condition.params)
            found.append({row[0] for row in cursor.fetchall()})
    assert found == [{f"{calls.slug}-{name}" for name in names}] * 2


def test_times_and_scopes_bound_what_is_found(calls: Organization, globex: Organization) -> None:
    def found(start: dt.datetime, end: dt.datetime) -> list[tuple[int, dt.datetime]]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT organization_id, occurred_at FROM metering_calls_with_file(%s, %s, %s) ORDER BY 1, 2",
                [["f1"], start, end],
            )
            return list(cursor.fetchall())

    both = [(calls.pk, AT - dt.timedelta(days=40)), (calls.pk, AT)]
    with organization_scope(calls.pk):
        assert found(EARLIEST, LATEST) == both
        assert found(AT, LATEST) == both[1:]
        assert found(EARLIEST, AT) == both[:1]
    with unscoped("test"):
        assert {organization for organization, _ in found(EARLIEST, LATEST)} >= {calls.pk, globex.pk}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM metering_calls_with_file(%s, %s, %s)", [["f1"], EARLIEST, LATEST])
        assert cursor.fetchone() == (0,), "nothing without a scope"
