"""The list of chats: a page of it, however long the chats' lives are."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection

from accounts.models import Organization
from core.tenancy import organization_scope
from metering.events import Usage
from metering.query.chats import ChatRow, list_chats
from metering.query.spec import EARLIEST, LATEST
from tests.metering.query.usage import count, make_event, write
from tests.queries import Counter

pytestmark = pytest.mark.django_db
AT = dt.datetime(2026, 11, 10, 12, tzinfo=dt.UTC)
# Of each of seven chats; months lie between some of them.
SPOKEN_DAYS_AGO = (0, 1, 45, 200)


def test_a_page_has_the_whole_lives_of_its_chats(acme: Organization) -> None:
    events = [
        make_event(
            f"{chat}-{days}",
            AT - dt.timedelta(days=days, minutes=chat),
            usage=Usage(input=100 * chat + days, output=7),
            chat=f"chat-{chat}",
            chat_title=f"Title {chat}" if days == 200 else None,
        )
        for chat in range(7)
        for days in SPOKEN_DAYS_AGO
    ]
    stored = write(acme.pk, events)
    write(acme.pk, [make_event("old", AT - dt.timedelta(days=60), chat="not since")])
    start = AT - dt.timedelta(days=5)
    for order in ("-last_at", "last_at"):
        with organization_scope(acme.pk):
            whole = list_chats(acme.pk, start, LATEST, {}, order_by=order).rows
            pages = _pages(acme.pk, start, order)
        numbers = range(7) if order == "-last_at" else range(6, -1, -1)
        assert [row.chat for row in whole] == [f"chat-{number}" for number in numbers]
        assert pages == whole
    for row in whole:
        assert row.figures == count(one for one in stored if one.row and one.row.chat == row.chat)
        assert row.title == f"Title {row.chat.removeprefix('chat-')}"
        assert row.last_at - row.first_at == dt.timedelta(days=200)


def _pages(organization_id: int, start: dt.datetime, order: str) -> list[ChatRow]:
    rows, cursor = [], None
    while True:
        page = list_chats(organization_id, start, LATEST, {}, order_by=order, limit=2, cursor=cursor)
        rows += page.rows
        cursor = page.next_cursor
        if cursor is None:
            return rows


def test_a_chat_that_went_on_after_the_range_is_not_in_it(acme: Organization) -> None:
    write(acme.pk, [make_event(str(days), AT + dt.timedelta(days=days), chat="c") for days in (-40, 0)])
    with organization_scope(acme.pk):
        assert list_chats(acme.pk, EARLIEST, AT, {}, limit=5).rows == []
        assert len(list_chats(acme.pk, EARLIEST, AT + dt.timedelta(seconds=1), {}, limit=5).rows) == 1


def test_without_an_event_there_is_no_chat(acme: Organization) -> None:
    with organization_scope(acme.pk):
        assert list_chats(acme.pk, EARLIEST, LATEST, {}, limit=5).rows == []


def test_no_event_is_read_without_filters(acme: Organization) -> None:
    write(acme.pk, [make_event("1", AT, chat="c")])
    with organization_scope(acme.pk):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE metering_event SET superseded_by = key")
        assert [row.chat for row in list_chats(acme.pk, EARLIEST, LATEST, {}, limit=5).rows] == ["c"]
        counter = Counter()
        with connection.execute_wrapper(counter):
            list_chats(acme.pk, EARLIEST, LATEST, {}, limit=5)
        assert counter.number == 3, "the ledger's zone before and after, and one statement"
