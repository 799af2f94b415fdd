"""Names of tags for menus: of the latest events, of what one may see, of nobody else's organization."""

from __future__ import annotations

import datetime as dt

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Organization, User
from metering.query import tags
from metering.query.tags import tag_names
from tests.cast import membership_of
from tests.metering.query.usage import make_event, write


def test_names_of_the_latest_events(acme: Organization, globex: Organization, alice: User, bob: User) -> None:
    at = now() - dt.timedelta(minutes=1)
    write(
        acme.pk,
        [
            make_event("a", at, user=alice.email, tags={"env": "prod", "team/name": "x"}),
            make_event("b", at, user=bob.email, tags={"env": "ci", "Release": "7"}),
            make_event("c", at),
            make_event("old", at - dt.timedelta(days=60), tags={"forgotten": "1"}),
        ],
    )
    write(globex.pk, [make_event("g", at, tags={"secret": "1"})])
    assert tag_names(acme.pk, now(), {}) == ["Release", "env", "team/name"]
    assert tag_names(acme.pk, now(), {"member": (membership_of(bob, acme).pk,)}) == ["Release", "env"]
    assert tag_names(globex.pk, now(), {}) == ["secret"]


def test_it_reads_no_more_events_than_it_says(acme: Organization) -> None:
    at = now() - dt.timedelta(minutes=1)
    write(acme.pk, [make_event(f"e{n}", at - dt.timedelta(minutes=n), tags={f"t{n:03}": "1"}) for n in range(60)])
    with CaptureQueriesContext(connection) as captured:
        found = tag_names(acme.pk, now(), {})
    assert found == [f"t{n:03}" for n in range(tags.MOST_NAMES)]
    assert any(f"LIMIT {tags.LATEST_EVENTS}" in query["sql"] for query in captured)
