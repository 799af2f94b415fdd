"""What people read about each kind of fact: one wording for every way of telling them.

Each function takes what a fact says, and its organization. It asks nothing of the database, so a message says the same
whenever it is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from accounts.models import Organization
from alerts.catalogue import KINDS
from alerts.letters import budgets, money, organization, usage
from alerts.letters.letter import Letter
from alerts.models import ToldFact

__all__ = ["LETTERS", "Letter", "letter_of"]

LETTERS: dict[str, Callable[[Any, Organization], Letter]] = {
    "usage.threshold": usage.threshold,
    "usage.anomaly": usage.anomaly,
    "usage.daily_summary": usage.daily_summary,
    "usage.weekly_summary": usage.weekly_summary,
    "rate_limit.frequent": usage.rate_limited,
    "budget.threshold": budgets.threshold,
    "credits.low": money.credits_low,
    "invoice.finalized": money.invoice_finalized,
    "invoice.paid": money.invoice_paid,
    "payment.failed": money.payment_failed,
    "payment.recovered": money.payment_recovered,
    "payment.disputed": money.payment_disputed,
    "calls.suspended": money.calls_suspended,
    "report.ready": organization.report_ready,
    "report.failed": organization.report_failed,
    "key.created": organization.key_created,
    "member.joined": organization.member_joined,
    "webhook.disabled": organization.webhook_disabled,
}


def letter_of(fact: ToldFact, of: Organization) -> Letter:
    """Raises KeyError for a kind that people are not told of, msgspec.ValidationError for data of another form."""
    return LETTERS[fact.kind](msgspec.convert(fact.data, KINDS[fact.kind].data), of)
