"""Files over any range: from the roll-up and from events the same figures, and those that counting gives."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Organization
from core.errors import ApiError
from core.tenancy import organization_scope, unscoped
from metering.events import Usage
from metering.pipeline import Rated
from metering.query.files import ORDERS, chats_of_file, list_files
from metering.query.spec import EARLIEST, LATEST
from tests.metering.query.usage import count, make_event, write
from tests.metering.store.test_file_shares import shares

pytestmark = pytest.mark.django_db
BERLIN = ZoneInfo("Europe/Berlin")
# Around a month's end in Berlin, and the end of a year.
SPOTS = [dt.datetime(2025, 3, 31, 22, tzinfo=dt.UTC), dt.datetime(2025, 12, 31, 23, tzinfo=dt.UTC)]
FILE_IDS = ("a", "b", "folder/c.pdf")
REPORT = {"id": "f1", "name": "Annual_Report.pdf", "size_bytes": 2_300_000, "tokens": 400}
AT = dt.datetime(2026, 11, 10, 12, tzinfo=dt.UTC)

moments = st.builds(
    lambda spot, hours: spot + dt.timedelta(hours=hours), st.sampled_from(SPOTS), st.integers(-40 * 24, 40 * 24)
)
calls = st.tuples(
    moments,
    st.integers(0, 3_000),
    st.lists(st.tuples(st.sampled_from(FILE_IDS), st.none() | st.integers(0, 2_000)), max_size=3),
    st.none() | st.integers(0, 1_000),
    st.sampled_from([None, "c1", "c2"]),
    st.sampled_from(["gpt-4o", "odd-model"]),
)
_numbers = itertools.count()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(calls, max_size=25), st.lists(st.tuples(moments, moments), min_size=1, max_size=4), st.data())
def test_files_are_what_counting_gives(
    made: list[Any], ranges: list[tuple[dt.datetime, dt.datetime]], data: st.DataObject
) -> None:
    with unscoped("test"):
        organization = Organization.objects.create(name="x", slug=f"files{next(_numbers)}", timezone="Europe/Berlin")
    events = [
        make_event(
            f"e{number}",
            at,
            model,
            Usage(input=prompt, output=7),
            chat=chat,
            detail={
                "files": [{"id": file} | ({} if size is None else {"tokens": size}) for file, size in files],
                "input_parts": {} if told is None else {"files": told},
            }
            if files
            else None,
        )
        for number, (at, prompt, files, told, chat, model) in enumerate(made)
    ]
    stored = list(zip(made, write(organization.pk, events), strict=True)) if events else []
    for first, last in ranges:
        start, end = (first, last) if first < last else (last, first + dt.timedelta(hours=1))
        if data.draw(st.booleans()):
            start, end = dt.datetime(2025, 3, 1, tzinfo=BERLIN), dt.datetime(2026, 1, 1, tzinfo=BERLIN)
        inside = [(call, rated) for call, rated in stored if start <= call[0] < end and call[2]]
        with organization_scope(organization.pk):
            found = list_files(organization.pk, start, end, {})
            # A filter that everything matches makes the events answer.
            again = list_files(organization.pk, start, end, {"model": ("gpt-4o", "odd-model")})
        assert found == again
        assert {row.file for row in found.rows} == {file for call, _ in inside for file, _ in call[2]}
        assert found.totals.figures == count(rated for _, rated in inside)
        for row in found.rows:
            mine = [(call, rated) for call, rated in inside if row.file in dict(call[2])]
            assert row.figures == count(rated for _, rated in mine)
            parts = [shares(call[1], _input_cost(rated), call[2], call[3])[row.file] for call, rated in mine]
            assert row.shares.known_tokens == sum(part[0] or 0 for part in parts)
            assert row.shares.known_cost_nanos == sum(part[1] or 0 for part in parts)
            assert row.shares.untold == sum(part[0] is None for part in parts)
            assert row.shares.uncosted == sum(part[1] is None for part in parts)
            assert row.chats == len({call[4] for call, _ in mine} - {None})
            with organization_scope(organization.pk):
                chats = chats_of_file(organization.pk, row.file, start, end, {}, 10)
                alone = list_files(organization.pk, start, end, {"file": (row.file,)})
            assert {chat.chat for chat in chats} == {call[4] for call, _ in mine}
            assert sum(chat.shares.known_cost_nanos for chat in chats) == row.shares.known_cost_nanos
            assert alone.rows == [row]
            assert alone.totals.figures == row.figures
        assert found.totals.shares.known_cost_nanos <= found.totals.figures.known_input_cost_nanos


def _input_cost(rated: Rated) -> int | None:
    assert rated.row is not None
    return rated.row.input_cost_nanos


def test_a_list_goes_on_where_it_ended_in_every_order(acme: Organization) -> None:
    events = [
        make_event(
            str(n),
            AT - dt.timedelta(days=n),
            usage=Usage(input=1_000 * n),
            detail={
                "files": [{"id": f"f{n % 7}", "name": f"File {n % 3}", "tokens": 50 * n} if n % 4 else {"id": "?"}]
            },
        )
        for n in range(1, 30)
    ]
    write(acme.pk, events)
    with organization_scope(acme.pk):
        for order in (*ORDERS, *(f"-{name}" for name in ORDERS)):
            whole = list_files(acme.pk, EARLIEST, LATEST, {}, order_by=order)
            cursor, rows = None, []
            while True:
                page = list_files(acme.pk, EARLIEST, LATEST, {}, order_by=order, limit=3, cursor=cursor)
                assert page.totals == whole.totals
                rows += page.rows
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert rows == whole.rows
            assert len(rows) == 8
        by_cost = [row.shares.known_cost_nanos for row in list_files(acme.pk, EARLIEST, LATEST, {}).rows]
        assert by_cost == sorted(by_cost, reverse=True)


def test_a_search_is_a_part_of_a_name_or_an_id(acme: Organization) -> None:
    files = [REPORT, {"id": "100%_notes", "name": None}, {"id": "x"}]
    write(acme.pk, [make_event(str(n), AT, detail={"files": [file]}) for n, file in enumerate(files)])
    with organization_scope(acme.pk):

        def found(search: str) -> list[str]:
            return [row.file for row in list_files(acme.pk, EARLIEST, LATEST, {}, search=search).rows]

        assert found("annual_report") == ["f1"]
        assert found("%_n") == ["100%_notes"]
        assert found("AnnualXReport") == []
        page = list_files(acme.pk, EARLIEST, LATEST, {}, search="report")
        assert page.totals.files == 3, "totals are of the range, whatever is searched for"


@pytest.mark.parametrize(
    "wrong", [{"order_by": "color"}, {"search": "x" * 201}, {"search": "\0"}, {"cursor": "W10="}, {"cursor": "?"}]
)
def test_what_makes_no_sense_is_refused(acme: Organization, wrong: dict[str, str]) -> None:
    with organization_scope(acme.pk), pytest.raises(ApiError) as refused:
        list_files(acme.pk, EARLIEST, LATEST, {}, **wrong)  # type: ignore[arg-type]
    assert refused.value.status == 422


def test_a_month_that_is_not_over_comes_from_the_roll_up(acme: Organization) -> None:
    now = dt.datetime.now(dt.UTC)
    write(acme.pk, [make_event("1", now, detail={"files": [REPORT]})])
    with organization_scope(acme.pk), connection.cursor() as cursor:
        cursor.execute("UPDATE metering_event SET superseded_by = key")
        month = now.astimezone(BERLIN).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        assert list_files(acme.pk, month, now + dt.timedelta(hours=1), {}).totals.files == 1
        assert list_files(acme.pk, month, now, {}).totals.files == 0, "an edge, which the events answer"
