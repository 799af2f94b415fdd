"""Where an invoice whose payment was refused stands, from its facts alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec
from django.conf import settings

from billing.models import DunningFact, DunningKind, Invoice


class Course(msgspec.Struct, frozen=True):
    """Since the refusal that began it. `attempts` counts all refusals of the invoice, those of before included."""

    began_at: dt.datetime
    last_refused_at: dt.datetime
    attempts: int
    is_suspended: bool

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
    return _course(DunningFact.objects.filter(invoice=invoice).order_by("pk"))


def suspended_numbers() -> list[str]:
    """Numbers of the invoices for which calls are suspended, oldest first."""
    facts: dict[str, list[DunningFact]] = {}
    for fact in DunningFact.objects.select_related("invoice").order_by("invoice_id", "pk"):
        facts.setdefault(fact.invoice.number, []).append(fact)
    courses = ((number, _course(found)) for number, found in facts.items())
    return [number for number, course in courses if course is not None and course.is_suspended]


def _course(facts: Iterable[DunningFact]) -> Course | None:
    attempts = 0
    present: list[DunningFact] = []
    for fact in facts:
        attempts += fact.kind == DunningKind.REFUSED
        present = [] if fact.kind == DunningKind.RECOVERED else [*present, fact]
    refused = [fact for fact in present if fact.kind == DunningKind.REFUSED]
    if not refused:
        return None
    return Course(
        refused[0].occurred_at,
        refused[-1].occurred_at,
        attempts,
        any(fact.kind == DunningKind.SUSPENDED for fact in present),
    )
