"""The way to a diagnosis from a page: its form, filled in with the range and the filters of that page."""

from __future__ import annotations

import datetime as dt
from urllib.parse import urlencode

from django.urls import reverse

from accounts.models import Organization
from core.periods import local_day
from reports.filters import NOTHING, Chosen
from reports.models import Symptom

LONGEST_DAYS = 92
# What a diagnosis can be narrowed by, each by one value.
NARROWED_BY = ("model", "api_key", "member")


def diagnosis_url(organization: Organization, chosen: Chosen, now: dt.datetime, symptom: Symptom) -> str:
    """Whole days up to today; of a longer range the last LONGEST_DAYS."""
    end = max(min(chosen.range.end, now), chosen.range.start + dt.timedelta.resolution)
    last = local_day(end - dt.timedelta.resolution, organization.zone)
    first = max(local_day(chosen.range.start, organization.zone), last - dt.timedelta(days=LONGEST_DAYS - 1))
    asked = {"symptom": symptom.value, "first_day": first.isoformat(), "last_day": last.isoformat()}
    for name in NARROWED_BY:
        values = chosen.parameters.get(name, ())
        if len(values) == 1 and values[0] != NOTHING:
            asked[name] = values[0]
    return f"{reverse('reports:diagnosis', args=[organization.slug])}?{urlencode(asked)}"
