"""What a budget might be, from what was used in the months before."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

import msgspec

from accounts.models import Organization
from billing.budgets.reach import Reach
from billing.models import Budget, BudgetScope
from core.money import NANOS_PER_USD
from core.periods import day_start, local_day, month_start
from core.tenancy import organization_scope
from metering.query.labels import GroupValue
from metering.query.run import run
from metering.query.spec import UsageQuery

MONTHS = 3
# Room for growth over the largest of these months.
ROOM = Fraction(11, 10)


class Suggestion(msgspec.Struct, frozen=True):
    """A monthly budget in nano-dollars for one that has none. `months` are their costs, the oldest first."""

    scope: str
    subject: GroupValue
    months: tuple[int, ...]
    amount_nanos: int


def suggest(organization: Organization, scope: str, reach: Reach, at: dt.datetime) -> list[Suggestion]:
    """For all of one scope that one may set and that have no monthly budget in money, the most expensive first.

    The largest cost of the last three whole months and a tenth, rounded up to two digits.
    """
    zone = organization.zone
    ends_on = month_start(local_day(at, zone))
    starts_on = ends_on
    for _ in range(MONTHS):
        starts_on = month_start(starts_on - dt.timedelta(days=1))
    groups = () if scope == BudgetScope.ORGANIZATION else (scope,)
    with organization_scope(organization.pk):
        taken = set(
            Budget.objects.filter(
                archived_at=None, scope=scope, model="", feature="", unit="cost", period="month"
            ).values_list("ref", flat=True)
        )
        result = run(
            UsageQuery(
                organization.pk, day_start(starts_on, zone), day_start(ends_on, zone), zone, "month", group_by=groups
            )
        )
    costs: dict[int, dict[dt.datetime, int]] = {}
    subjects: dict[int, GroupValue] = {}
    for row in result.rows:
        subject = row.group[scope] if groups else GroupValue(0, None, organization.name)
        ref = subject.ref if isinstance(subject.ref, int) else 0
        subjects[ref] = subject
        costs.setdefault(ref, {})[row.start] = row.figures.known_cost_nanos
    found = []
    for ref, by_month in costs.items():
        most = max(by_month.values())
        is_somebodys = subjects[ref].label is not None and (ref != 0 or not groups)
        if most > 0 and is_somebodys and ref not in taken and reach.may_set(scope, ref):
            months = tuple(by_month[start] for start in sorted(by_month))
            found.append(Suggestion(scope, subjects[ref], months, rounded_up(_with_room(most))))
    return sorted(found, key=lambda one: (-one.amount_nanos, one.subject.label or ""))


def rounded_up(nanos: int) -> int:
    """To two significant digits of dollars, one dollar at least."""
    dollars = -(-nanos // NANOS_PER_USD)
    step: int = 10 ** max(0, len(str(dollars)) - 2)
    return max(1, -(-dollars // step) * step) * NANOS_PER_USD


def _with_room(nanos: int) -> int:
    return -(-nanos * ROOM.numerator // ROOM.denominator)
