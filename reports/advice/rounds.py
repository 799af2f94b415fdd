"""Looking an organization's usage through for advice: once a night in its own zone, or when somebody asks.

Rows are locked in one order, insights before their organization's AdviceRound, by rounds as by who settles advice
(reports/advice/acting.py). What keeps two rounds apart is a lock of their own, so that nobody else waits for a round.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import connection
from django.db.models import Q

from accounts.models import Organization
from core.periods import local_day
from core.tenancy import organization_scope
from metering.pricing.book import PriceBook
from reports.advice import KINDS, kind_of, records
from reports.advice.following import follow_up
from reports.advice.kind import Context
from reports.advice.savings import window_of
from reports.advice.together import sum_up
from reports.models import AdviceRound

logger = structlog.get_logger(__name__)

# By then what came late of yesterday has mostly come.
FROM_HOUR = 3
# A round that was asked for and has not finished by then has lost its worker.
PATIENCE = dt.timedelta(minutes=30)
_LOCK = 7_268


def due(at: dt.datetime) -> list[int]:
    """Organizations with usage that were not looked through since their day began. Needs `unscoped`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT organization_id FROM metering_ledger")
        used = [row[0] for row in cursor.fetchall()]
    looked = dict(AdviceRound.objects.values_list("organization_id", "ends_at"))
    found = []
    for organization in Organization.objects.filter(Q(pk__in=used)).order_by("pk"):
        local = at.astimezone(organization.zone)
        last = looked.get(organization.pk)
        if local.hour >= FROM_HOUR and (last is None or local_day(last, organization.zone) < local.date()):
            found.append(organization.pk)
    return found


def ask(organization_id: int, at: dt.datetime) -> bool:
    """Note that a round is wanted; False when one is already. Needs the organization's scope, or `unscoped`."""
    AdviceRound.objects.bulk_create([AdviceRound(organization_id=organization_id)], ignore_conflicts=True)
    asked = Q(asked_at=None) | Q(asked_at__lt=at - PATIENCE)
    return bool(AdviceRound.objects.filter(asked, organization_id=organization_id).update(asked_at=at))


def is_asked(organization_id: int) -> bool:
    """Whether a round is wanted that nobody has made meanwhile. Opens the organization's scope."""
    with organization_scope(organization_id):
        return AdviceRound.objects.filter(organization_id=organization_id).exclude(asked_at=None).exists()


def look(organization_id: int, at: dt.datetime) -> None:
    """Look for every kind of advice in the last 30 whole days. What cannot be looked for is logged, and its insights
    stand; the same again when it is done again."""
    failed = []
    with organization_scope(organization_id):
        AdviceRound.objects.bulk_create([AdviceRound(organization_id=organization_id)], ignore_conflicts=True)
        organization = Organization.objects.get(pk=organization_id)
        context = Context(organization, *window_of(at, organization.zone), at, PriceBook.load())
    for name in KINDS:
        try:
            with _turn(organization_id):
                records.keep(context, kind_of(name))
            with _turn(organization_id):
                follow_up(context, kind_of(name))
        except Exception:
            logger.exception("advice_not_looked_for", organization=organization_id, kind=name)
            failed.append(name)
    with organization_scope(organization_id):
        AdviceRound.objects.filter(organization_id=organization_id).update(
            asked_at=None,
            starts_at=context.start,
            ends_at=context.end,
            finished_at=at,
            cost_nanos=context.cost_nanos,
            failed=failed,
        )
        sum_up(organization_id)


@contextmanager
def _turn(organization_id: int) -> Iterator[None]:
    """The organization's scope, for one round at a time: one asked for by hand waits for the nightly one."""
    with organization_scope(organization_id):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, organization_id])
        yield
