"""What a page of usage shows, as it goes on: by the forecast of that usage, so that no two pages tell two ends."""

from __future__ import annotations

import datetime as dt
from urllib.parse import urlencode

import msgspec
from django.urls import reverse

from metering.dimensions import DIMENSIONS
from metering.query.labels import resolve_filters
from reports.forecasting.ahead import Ahead, Elapsed
from reports.forecasting.asked import SCOPES
from reports.forecasting.goodness import error_words, held_words
from reports.forecasting.outlook import Band
from reports.forecasting.periods import plus
from reports.forecasting.records import MEASURES, Kept, fresh
from reports.forecasting.subjects import WHOLE, Subject
from reports.models import ForecastMeasure, ForecastScope
from reports.page import UsagePage

TOO_LITTLE = "Too little history: two whole weeks are needed."

NOT_FORECAST = "Usage is forecast as a whole, or of one value of one filter, in the organization’s own time zone."


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

    def sentence(self, day: dt.date) -> str:
        """How good what is told of the cost until `day` was before, for people: of as many days ahead."""
        if self.cost.outlook is None:
            return TOO_LITTLE
        number = (day - self.cost.first_day).days
        return f"{error_words(number, self.cost.horizons)} {held_words(number, self.cost.horizons)}"


def viewed(page: UsagePage) -> Viewed | None:
    """None of a view that is narrowed to more than one value: years of its events are too much to read."""
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
