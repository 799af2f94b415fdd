"""What a page of usage shows, as it goes on: by the forecast of that usage, so that no two pages tell two ends."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from urllib.parse import urlencode

import msgspec
from django.urls import reverse

from core import figures as words
from metering.dimensions import DIMENSIONS
from metering.query.labels import resolve_filters
from reports.forecasting.ahead import Ahead, Elapsed
from reports.forecasting.asked import SCOPES
from reports.forecasting.outlook import Band, Outlook
from reports.forecasting.periods import plus
from reports.forecasting.records import MEASURES, Kept, fresh
from reports.forecasting.subjects import WHOLE, Subject
from reports.models import ForecastMeasure, ForecastScope
from reports.page import UsagePage

TOO_LITTLE = "Too little history: two whole weeks are needed."


class Viewed(msgspec.Struct, frozen=True):
    """The forecasts of a page's usage, of cost and of tokens, from now on."""

    cost: Kept
    tokens: Kept
    elapsed: Elapsed
    # Where all of it stands; None for a dimension that has no forecast page.
    url: str | None

    def ahead(self, measure: str) -> Ahead | None:
        """None where there is too little history."""
        kept = self.cost if measure == ForecastMeasure.COST else self.tokens
        return None if kept.outlook is None else Ahead.of(kept.outlook, self.elapsed)

    def until(self, day: dt.date, measure: str, so_far: int) -> Band | None:
        """A period that ends before `day`, of which `so_far` is used; None where that is not forecast."""
        ahead = self.ahead(measure)
        rest = None if ahead is None else ahead.until(day)
        return None if rest is None else plus(so_far, rest)

    @property
    def sentence(self) -> str:
        """What the cost rests on, for people."""
        return TOO_LITTLE if self.cost.outlook is None else error_words(self.cost.outlook)


def viewed(page: UsagePage) -> Viewed | None:
    """None of a view that is narrowed to more than one value: a year of its events is too much to read."""
    subject = _subject(page)
    if subject is None:
        return None
    kept = fresh(page.organization, [(subject, measure) for measure in MEASURES], page.now)
    return Viewed(
        kept[subject, ForecastMeasure.COST.value],
        kept[subject, ForecastMeasure.TOKENS.value],
        Elapsed.of(page.now, page.chosen.zone),
        _url(page, subject),
    )


def _url(page: UsagePage, subject: Subject) -> str | None:
    path = reverse("reports:forecast", args=[page.organization.slug])
    if subject.scope in SCOPES:
        return f"{path}?{urlencode({subject.scope: page.chosen.parameters[subject.scope][0]})}"
    is_own = "member" in page.fixed and subject.scope == ForecastScope.MEMBER
    return path if subject == WHOLE or is_own else None


def _subject(page: UsagePage) -> Subject | None:
    filters = page.chosen.filters
    if not filters:
        return WHOLE
    if len(filters) > 1 or page.chosen.zone != page.organization.zone:
        return None
    ((name, values),) = filters.items()
    if name not in DIMENSIONS or len(values) != 1:
        return None
    refs = resolve_filters(page.organization.pk, {name: values})[name].refs
    return Subject(name, refs[0]) if refs else None


def error_words(outlook: Outlook) -> str:
    """How wrong the same was before, beside repeating the last week; never better than was measured."""
    measured = outlook.measured
    if measured is None or measured.total_error is None:
        return "How wrong it may be is not known yet: more history is needed."
    own = _off(measured.total_error)
    told = f"Totals of {len(outlook.totals)} days were off by {own} before"
    if measured.naive_total_error is not None and measured.naive_total_error < measured.total_error:
        return f"{told}; repeating the last week, by {_off(measured.naive_total_error)}."
    return f"{told}."


def _off(error: float) -> str:
    share = Fraction(error)
    return words.percent(share) if share >= Fraction(1, 1000) else "less than 0.1%"
