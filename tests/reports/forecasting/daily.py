"""Usage of many days for the tests of forecasts: one call a day, in a weekly pattern that wobbles."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils.timezone import now

from accounts.models import Organization
from core.periods import day_start, local_day
from metering.events import Usage
from reports.forecasting.records import Kept, fresh
from reports.forecasting.subjects import WHOLE
from tests.metering.query.usage import make_event, write

WEEK = (1_000, 1_100, 1_200, 1_150, 1_050, 200, 100)
# Of these tests' model, in nano-dollars.
TOKEN = 2_501


def tokens_on(day: dt.date) -> int:
    return WEEK[day.weekday()] * (20 + day.toordinal() * 7 % 5) // 20


def use(
    organization: Organization, days: int, prefix: str = "d", *, today: int = 0, step: int = 1, **fields: Any
) -> None:
    """A call at noon of every `step`th of so many whole days before today; of today one of `today` tokens at once."""
    zone = organization.zone
    present = local_day(now(), zone)
    past = [present - dt.timedelta(days=n) for n in range(days, 0, -step)]
    events = [
        make_event(
            f"{prefix}-{day}",
            day_start(day, zone) + dt.timedelta(hours=12),
            usage=Usage(input=tokens_on(day)),
            **fields,
        )
        for day in past
    ]
    if today:
        events.append(make_event(f"{prefix}-today", day_start(present, zone), usage=Usage(input=today), **fields))
    write(organization.pk, events)


def kept_cost(organization: Organization) -> Kept:
    """Today's forecast of what everybody costs, as it is kept; made if there is none."""
    return fresh(organization, [(WHOLE, "cost")], now())[WHOLE, "cost"]
