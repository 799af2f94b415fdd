"""What periods will come to: what was used of them so far, and what is yet to come."""

from __future__ import annotations

import datetime as dt

import msgspec

from accounts.models import Organization
from billing.contracts import Contract
from core import figures as words
from core.money import NANOS_PER_USD
from core.periods import day_start, local_day, month_start, next_month
from metering.query.metrics import Figures
from metering.query.run import run
from metering.query.spec import UsageQuery
from reports.forecasting.ahead import Ahead
from reports.forecasting.outlook import Band
from reports.forecasting.records import Kept
from reports.forecasting.subjects import Subject, value_of
from reports.models import ForecastMeasure

# Days of history that are shown beside a forecast.
SHOWN_DAYS = 60
NEXT_DAYS = 30
# From ten dollars on, cents would be pretended.
WHOLE_FROM = 10 * NANOS_PER_USD
_DAY = dt.timedelta(days=1)


class Ending(msgspec.Struct, frozen=True):
    """A period [starts_on, ends_on). `band` is of all of it, what is over too; None: it ends beyond the forecast."""

    key: str
    label: str
    starts_on: dt.date
    ends_on: dt.date
    so_far: int
    band: Band | None


def recent(organization: Organization, subject: Subject, at: dt.datetime) -> dict[dt.date, Figures]:
    """What each day had, today so far among them. Needs the organization's scope."""
    zone, today = organization.zone, local_day(at, organization.zone)
    rows = run(
        UsageQuery(
            organization.pk,
            day_start(today - SHOWN_DAYS * _DAY, zone),
            day_start(today + _DAY, zone),
            zone,
            interval="day",
            filters=subject.filters,
        )
    ).rows
    days = {local_day(row.start, zone): row.figures for row in rows}
    nothing = Figures()
    return {(day := today - n * _DAY): days.get(day, nothing) for n in range(SHOWN_DAYS, -1, -1)}


def endings(
    organization: Organization, measure: str, days: dict[dt.date, Figures], ahead: Ahead | None, at: dt.datetime
) -> list[Ending]:
    """This calendar month, the billing period where it is another, and thirty days from today on."""
    today = local_day(at, organization.zone)
    spans = [("month", f"{today:%B}", month_start(today), next_month(today))]
    contract = Contract.load(organization)
    if contract is not None:
        period = contract.period(today)
        if (period.starts_on, period.ends_on) != spans[0][2:]:
            spans.append(("billing_period", "Billing period", period.starts_on, period.ends_on))
    spans.append(("next_30_days", f"{NEXT_DAYS} days from today", today, today + NEXT_DAYS * _DAY))
    return [_ending(key, label, starts_on, ends_on, measure, days, ahead) for key, label, starts_on, ends_on in spans]


def _ending(
    key: str,
    label: str,
    starts_on: dt.date,
    ends_on: dt.date,
    measure: str,
    days: dict[dt.date, Figures],
    ahead: Ahead | None,
) -> Ending:
    so_far = sum(value_of(figures, measure) for day, figures in days.items() if starts_on <= day < ends_on)
    rest = None if ahead is None else ahead.until(ends_on)
    return Ending(key, label, starts_on, ends_on, so_far, None if rest is None else plus(so_far, rest))


def plus(so_far: int, rest: Band) -> Band:
    return Band(so_far + rest.low, so_far + rest.likely, so_far + rest.high)


def text_of(value: int | None, measure: str) -> str:
    """A forecast as people read it: whole dollars, where a dollar is little of it; tokens to three digits."""
    if measure == ForecastMeasure.TOKENS:
        return words.UNKNOWN if value is None else "".join(words.compact_parts(value))
    return words.money_whole(value) if value is None or value >= WHOLE_FROM else words.money(value)


def in_words(kept: Kept) -> str:
    """One line of a forecast, for a terminal."""
    what = "tokens" if kept.measure == ForecastMeasure.TOKENS else "cost"
    if kept.outlook is None:
        return f"{what}: too little history"
    low, likely, high = (text_of(end, kept.measure) for end in msgspec.structs.astuple(kept.outlook.totals[-1]))
    return f"{what} of {len(kept.outlook.totals)} days from {kept.first_day}: {likely}, likely {low} to {high}"
