"""A round and people who settle advice meanwhile: neither loses, and nobody waits for the other's looking."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accounts.audit import Actor
from accounts.models import Organization, Role
from core.tenancy import organization_scope
from reports.advice import KINDS, acting, kind_of, rounds
from reports.advice.kind import Context, Finding, Kind
from reports.advice.reach import Reach
from reports.models import AdviceRound, Insight
from tests.reports.advice.making import NOW, make_insight

pytestmark = pytest.mark.django_db(transaction=True)
BY, OWNER = Actor.of_command("test"), Reach.of(Role.OWNER)
DEADLINE = 20


def wait_for_lock() -> None:
    """Until another transaction of this database waits for a row that this one has."""
    until = time.monotonic() + DEADLINE
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
            assert time.monotonic() < until, "nobody waits"
            time.sleep(0.01)


def look(organization: Organization) -> None:
    try:
        rounds.look(organization.pk, NOW)
    finally:
        connection.close()


def test_who_settles_while_a_round_waits_for_that_very_insight(acme: Organization) -> None:
    with organization_scope(acme.pk):
        insight = make_insight(acme)
        AdviceRound.objects.create(organization=acme)
    with ThreadPoolExecutor(1) as pool:
        with organization_scope(acme.pk):
            # What dismissing begins with; the round comes in between.
            Insight.objects.select_for_update(no_key=True).get()
            looked = pool.submit(look, acme)
            wait_for_lock()
            acting.dismiss(insight, "No.", OWNER, by=BY)
        looked.result(DEADLINE)
    with organization_scope(acme.pk):
        assert Insight.objects.get().state == "dismissed"
        last = AdviceRound.objects.get()
    assert (last.finished_at, last.failed, last.together_nanos) == (NOW, [], None)


def test_who_settles_waits_for_no_looking(acme: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round is in the midst of looking when everything is settled and opened again."""
    with organization_scope(acme.pk):
        insight = make_insight(acme, kind="cut_off")

    def settle() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = '{DEADLINE}s'")
            acting.dismiss(insight, "", OWNER, by=BY)
            acting.open_again(insight, OWNER, by=BY)
            acting.dismiss(insight, "Not now.", OWNER, by=BY)
        finally:
            connection.close()

    def find(_context: Context) -> Iterator[Finding]:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(settle).result()
        yield from ()

    monkeypatch.setitem(globals(), "LOOKING", Kind("cut_off", "Label", "x-lg", "About.", find))
    monkeypatch.setitem(KINDS, "cut_off", f"{__name__}.LOOKING")
    kind_of.cache_clear()
    rounds.look(acme.pk, NOW)
    monkeypatch.undo()
    kind_of.cache_clear()
    with organization_scope(acme.pk):
        found = Insight.objects.get()
        assert (found.state, found.reason) == ("dismissed", "Not now.")
        assert AdviceRound.objects.get().failed == []
