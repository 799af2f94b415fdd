"""Budgets as they were proposed, set at once: what is so already stays as it is, so that twice is once."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from django.core.signing import BadSignature, TimestampSigner

from accounts.audit import Actor
from accounts.models import Organization
from billing.budgets.reach import Reach
from billing.budgets.records import change_budget, create_budget
from billing.models import BudgetScope
from core.errors import ApiError
from core.money import nanos_from_usd, usd_text
from core.tenancy import organization_scope
from metering.models import LimitUnit
from reports.forecasting.subjects import Subject
from reports.planning.plan import Row, plain_budgets

# As forms send it, signed: what was shown is set, and nothing else. team:12=540.50
_WANTED = re.compile(r"(organization|team):(0|[1-9][0-9]{0,8})=([0-9]{1,9}(?:\.[0-9]{1,9})?)")
_SHOWN_FOR = dt.timedelta(days=1)
MOST = 200


class Done(msgspec.Struct, frozen=True):
    created: int
    changed: int
    unchanged: int

    @property
    def words(self) -> str:
        counted = ((self.created, "added"), (self.changed, "changed"), (self.unchanged, "as they were"))
        said = ", ".join(f"{number} {word}" for number, word in counted if number)
        return f"Budgets: {said}."


def written(organization: Organization, row: Row) -> str:
    """A proposal as forms send it."""
    return _signer(organization).sign(f"{row.of}={usd_text(row.proposed)}")


def _signer(organization: Organization) -> TimestampSigner:
    return TimestampSigner(salt=f"reports.planning.{organization.pk}")


def read_wanted(organization: Organization, given: Sequence[str]) -> dict[Subject, int]:
    """Each with its monthly amount in nano-dollars. Raises ApiError 422."""
    found = {}
    for text in given[: MOST + 1]:
        try:
            match = _WANTED.fullmatch(_signer(organization).unsign(text, max_age=_SHOWN_FOR))
        except BadSignature:
            match = None
        if match is None or (match[1] == BudgetScope.ORGANIZATION) != (match[2] == "0"):
            text = "These are not budgets that this plan proposed today. Look at it again, and set them from there."
            raise ApiError(422, "invalid_parameter", text, param="budget")
        found[Subject(match[1], int(match[2]))] = nanos_from_usd(Decimal(match[3]))
    if not 0 < len(found) <= MOST:
        raise ApiError(422, "invalid_parameter", f"Choose 1 to {MOST} budgets.", param="budget")
    return found


def set_budgets(organization: Organization, wanted: dict[Subject, int], reach: Reach, *, by: Actor) -> Done:
    """All of them or none. Raises as billing.budgets.records.create_budget."""
    created = changed = unchanged = 0
    with organization_scope(organization.pk):
        # Of two at once the second one sees what the first has set.
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        present = plain_budgets(reach)
        for subject, amount in wanted.items():
            budget = present.get(subject)
            if budget is None:
                values = {
                    "scope": BudgetScope(subject.scope).value,
                    "ref": subject.ref,
                    "unit": LimitUnit.COST.value,
                    "amount": amount,
                }
                create_budget(organization, values, reach, by=by)
                created += 1
            elif budget.amount != amount:
                change_budget(budget, {"amount": amount}, reach, by=by)
                changed += 1
            else:
                unchanged += 1
    return Done(created, changed, unchanged)
