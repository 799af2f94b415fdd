"""What programs and people are told of a refused payment and what follows, in its transaction (core/facts.py)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from billing.dunning.course import Course
from billing.invoices.telling import money, page_of
from billing.models import Invoice
from core.facts import Fact, moment, tell


def tell_refused(
    invoice: Invoice, course: Course, due: int, *, code: str, message: str, pay_url: str, at: dt.datetime
) -> None:
    retry = course.next_retry_at
    _tell(
        "payment.failed",
        invoice,
        course.attempts,
        at,
        amount=money(due),
        attempt=course.attempts,
        code=code,
        reason=message,
        next_retry_at=moment(retry) if retry else None,
        suspends_at=moment(course.suspends_at),
        pay_url=pay_url,
    )


def tell_suspended(invoice: Invoice, course: Course, due: int, *, pay_url: str, at: dt.datetime) -> None:
    _tell(
        "calls.suspended",
        invoice,
        course.attempts,
        at,
        amount=money(due),
        attempts=course.attempts,
        reason=course.reason,
        pay_url=pay_url,
    )


def tell_recovered(invoice: Invoice, course: Course, at: dt.datetime) -> None:
    _tell(
        "payment.recovered",
        invoice,
        course.attempts,
        at,
        gross=money(invoice.gross),
        was_suspended=course.is_suspended,
    )


def _tell(kind: str, invoice: Invoice, number: int, at: dt.datetime, /, **data: Any) -> None:
    about = {"page": page_of(invoice), "number": invoice.number, "currency": invoice.currency}
    tell(Fact(kind, invoice.organization_id, key=f"invoice:{invoice.pk}:{number}", happened_at=at, data=about | data))
