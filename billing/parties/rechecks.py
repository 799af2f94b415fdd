"""When the register is asked about a number once more: soon when it did not tell, and when what it told is old.

A register that is away is asked again after an hour, then after twice as long each time, a day at most. What it told
holds until it tells something else.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings

from billing.models import BillingProfile, TaxStanding
from billing.parties.profile import can_be_asked
from core.periods import UTC
from core.tenancy import unscoped

FIRST_WAIT = dt.timedelta(hours=1)
LONGEST_WAIT = dt.timedelta(days=1)
_AT_ONCE = dt.datetime.min.replace(tzinfo=UTC)


def next_ask_at(profile: BillingProfile) -> dt.datetime | None:
    """None where nobody is asked: no number, no register of it, or the operator's word holds."""
    if profile.is_tax_decided or not can_be_asked(profile.tax_number, profile.organization.country):
        return None
    told = profile.tax_standing != TaxStanding.NOT_ASKED
    asked_at: dt.datetime | None = profile.tax_asked_at or profile.tax_checked_at
    if asked_at is None:
        return _AT_ONCE
    if told and not profile.tax_unanswered:
        wait = dt.timedelta(days=settings.VAT_RECHECK_DAYS)
    else:
        # Past a few doublings it is the longest anyway.
        doublings = min(max(profile.tax_unanswered, 1) - 1, 10)
        wait = min(FIRST_WAIT * 2**doublings, LONGEST_WAIT)
    asks_at: dt.datetime = asked_at + wait
    return asks_at


def to_ask(at: dt.datetime) -> list[int]:
    """Ids of the organizations whose number is due, those that waited longest first."""
    if not settings.VAT_REGISTER_URL:
        return []
    with unscoped("beat looks after every organization's tax number"):
        profiles = list(BillingProfile.objects.exclude(tax_number="").select_related("organization"))
    due = [(when, one.organization_id) for one in profiles if (when := next_ask_at(one)) is not None and when <= at]
    return [organization_id for _, organization_id in sorted(due)]
