"""Where an invoice whose payment was refused stands, from its facts alone."""

from __future__ import annotations

import datetime as dt

import msgspec
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from billing.models import DunningFact, DunningKind, Invoice


class Course(msgspec.Struct, frozen=True):
    """Since the refusal that began it. `attempts` counts all refusals of the invoice, those of before included."""

    began_at: dt.datetime
    last_refused_at: dt.datetime
    attempts: int
    is_suspended: bool
    # Why, in words for people.
    reason: str = ""

    @property
    def next_retry_at(self) -> dt.datetime | None:
        """None once the schedule is over: then only a new card or another payment helps."""
        days = (self.began_at + dt.timedelta(days=day) for day in sorted(settings.DUNNING_RETRY_DAYS))
        return next((at for at in days if at > self.last_refused_at), None)

    @property
    def suspends_at(self) -> dt.datetime:
        return self.began_at + dt.timedelta(days=settings.DUNNING_GRACE_DAYS)


def attempts_of(invoice: Invoice) -> int:
    """How often payment was refused. Needs the organization's scope, as everything here."""
    return DunningFact.objects.filter(invoice=invoice, kind=DunningKind.REFUSED).count()


def course_of(invoice: Invoice) -> Course | None:
    """None where no refusal is open: there was none, or it was paid since."""
    return _course(list(_open_facts().filter(invoice=invoice)))


def open_courses() -> list[tuple[Invoice, Course]]:
    """Every invoice whose refusal is open, the oldest refusal first, with its payments at hand.

    One query where there is none.
    """
    found: dict[int, list[DunningFact]] = {}
    rows = _open_facts().select_related("invoice")
    for fact in rows.prefetch_related("invoice__payments", "invoice__credit_notes", "invoice__at_stripe"):
        found.setdefault(fact.invoice_id, []).append(fact)
    courses = ((facts[0].invoice, _course(facts)) for facts in found.values())
    return [(invoice, course) for invoice, course in courses if course is not None]


def suspended_numbers() -> list[str]:
    """Numbers of the invoices for which calls are suspended, oldest first."""
    return [invoice.number for invoice, course in open_courses() if course.is_suspended]


def _open_facts() -> QuerySet[DunningFact]:
    """Those of refusals that nothing ended since, in the order they happened."""
    ended = DunningFact.objects.filter(invoice=OuterRef("invoice"), kind=DunningKind.RECOVERED, pk__gte=OuterRef("pk"))
    rows: QuerySet[DunningFact] = DunningFact.objects.filter(~Exists(ended))
    return rows.order_by("pk")


def _course(facts: list[DunningFact]) -> Course | None:
    refused = [fact for fact in facts if fact.kind == DunningKind.REFUSED]
    if not refused:
        return None
    return Course(
        refused[0].occurred_at,
        refused[-1].occurred_at,
        refused[-1].attempt,
        any(fact.kind == DunningKind.SUSPENDED for fact in facts),
        refused[-1].message,
    )
