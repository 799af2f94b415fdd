"""What was realized of advice that is done: the same work before and since, at what each unit of it costs.

What a unit cost before × units since − what they cost: more usage is no loss and less usage no gain.
"""

from __future__ import annotations

import datetime as dt

from core.periods import day_start, local_day
from reports.advice.kind import Context, Kind, Work
from reports.advice.records import FOLLOWED
from reports.models import Insight, InsightState


def begin(insight: Insight, work: Work | None, context: Context) -> None:
    """Note the work of before: that of the context. From the next day on counts what is since. Does not save."""
    if work is None:
        return
    insight.before_units, insight.before_nanos = work.units, work.nanos
    insight.measured_from = _next_day(context.now, context)
    insight.measured_until = None
    insight.since_units = insight.since_nanos = None


def follow_up(context: Context, kind: Kind) -> None:
    """Measure the whole days since each piece of advice of a kind was done. Needs the organization's scope."""
    if kind.work is None:
        return
    # Measured before anything is locked: who opens it again is not to wait for that.
    measured: list[tuple[Insight, Work, dt.datetime]] = []
    for insight in Insight.objects.filter(
        kind=kind.name, state=InsightState.DONE, measured_from__isnull=False
    ).order_by("pk"):
        until = min(context.end, insight.measured_from + FOLLOWED)
        if until <= insight.measured_from or until == insight.measured_until:
            continue
        since = Context(context.organization, insight.measured_from, until, context.now, context.book)
        measured.append((insight, kind.work(since, insight.subject), until))
    for insight, work, until in measured:
        # Unless it was opened again, or done anew, meanwhile.
        Insight.objects.filter(pk=insight.pk, state=InsightState.DONE, measured_from=insight.measured_from).update(
            since_units=work.units, since_nanos=work.nanos, measured_until=until
        )


def _next_day(at: dt.datetime, context: Context) -> dt.datetime:
    return day_start(local_day(at, context.zone) + dt.timedelta(days=1), context.zone)
