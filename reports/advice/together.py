"""What all open advice would save together: a call that several insights speak of is saved once, at most."""

from __future__ import annotations

from django.db import connection

from reports.advice import KINDS, kind_of
from reports.models import AdviceRound, InsightState

_SUM = """
SELECT sum(saved)::bigint FROM (
    SELECT max(call.now_nanos - call.would_nanos) AS saved
    FROM reports_insight i
    JOIN reports_insightevidence e ON e.insight_id = i.id
    CROSS JOIN LATERAL unnest(e.ids, e.now_nanos, e.would_nanos) AS call (id, now_nanos, would_nanos)
    WHERE i.organization_id = %s AND i.state = %s AND i.kind = ANY(%s)
    GROUP BY call.id
) AS calls
"""


def sum_up(organization_id: int) -> None:
    """Keep the sum with the last round. Of kinds about calls, in a window's 30 days. Needs the organization's scope.

    Locks the round, and no insight after it.
    """
    # Before the sum is read, so that of two who settle at once the later one sees what the other did.
    AdviceRound.objects.select_for_update(no_key=True).filter(organization_id=organization_id).first()
    kinds = [name for name in KINDS if kind_of(name).evidence == "calls"]
    with connection.cursor() as cursor:
        cursor.execute(_SUM, [organization_id, InsightState.OPEN, kinds])
        together = cursor.fetchone()[0]
    AdviceRound.objects.filter(organization_id=organization_id).update(together_nanos=together)
