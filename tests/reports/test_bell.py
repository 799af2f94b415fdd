"""The bell's stream: one person's own, moved by what they are told and by what they read."""

from __future__ import annotations

from typing import Any

from accounts.models import Organization, User
from alerts.notices.inbox import mark_read
from core.tenancy import organization_scope
from tests.alerts.notices.telling import happen
from tests.cast import logged_in, membership_of
from tests.reports.live import Listener, Server, listening, until
from tests.reports.live import server as server

PATH = "/o/acme/inbox/stream"


def unread(listener: Listener) -> Any:
    return listener.frames[-1]["unread"] if listener.frames else None


def test_it_moves_with_what_one_is_told_and_reads(
    server: Server, acme: Organization, alice: User, fiona: User, vera: User
) -> None:
    with (
        listening(server, logged_in(alice), PATH) as alices,
        listening(server, logged_in(fiona), PATH) as fionas,
        listening(server, logged_in(vera), PATH) as veras,
    ):
        until(lambda: unread(alices) == unread(fionas) == unread(veras) == 0)
        happen(acme)
        until(lambda: unread(alices) == unread(fionas) == 1)
        member = membership_of(fiona, acme)
        with organization_scope(acme.pk):
            mark_read(member)
        until(lambda: unread(fionas) == 0)
        # Who is not told, and whose is read by nobody else, hears nothing new.
        assert unread(alices) == 1
        assert len(veras.frames) == 1


def test_strangers_have_none(server: Server, acme: Organization, charlie: User) -> None:
    with listening(server, logged_in(charlie), PATH) as heard:
        assert heard.status == 404
