"""Looking an organization's usage through for advice: once a night in its own zone, or when somebody asks."""

from __future__ import annotations

import datetime as dt

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
from reports.models import AdviceRound, InsightState

logger = structlog.get_logger(__name__)

# By then what came late of yesterday has mostly come.
FROM_HOUR = 3
# A round that was asked for and has not finished by then has lost its worker.
PATIENCE = dt.timedelta(minutes=30)


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
    """Note that a round is wanted; False when one is already. Needs the organization's scope."""
    AdviceRound.objects.bulk_create([AdviceRound(organization_id=organization_id)], ignore_conflicts=True)
    asked = Q(asked_at=None) | Q(asked_at__lt=at - PATIENCE)
    return bool(AdviceRound.objects.filter(asked, organization_id=organization_id).update(asked_at=at))


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
            with organization_scope(organization_id):
                # One at a time: a round asked for by hand waits for the nightly one.
                AdviceRound.objects.select_for_update().get(organization_id=organization_id)
                records.keep(context, kind_of(name))
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
            together_nanos=_together(organization_id),
            failed=failed,
        )


# A call that several pieces of advice speak of would be saved once: at the advice that saves most of it.
_TOGETHER = """
SELECT sum(saved)::bigint FROM (
    SELECT max(call.now_nanos - call.would_nanos) AS saved
    FROM reports_insight i
    JOIN reports_insightevidence e ON e.insight_id = i.id
    CROSS JOIN LATERAL unnest(e.ids, e.now_nanos, e.would_nanos) AS call (id, now_nanos, would_nanos)
    WHERE i.organization_id = %s AND i.state = %s AND i.kind = ANY(%s)
    GROUP BY call.id
) AS calls
"""


def _together(organization_id: int) -> int | None:
    kinds = [name for name in KINDS if kind_of(name).evidence == "calls"]
    with connection.cursor() as cursor:
        cursor.execute(_TOGETHER, [organization_id, InsightState.OPEN, kinds])
        found: int | None = cursor.fetchone()[0]
    return found
