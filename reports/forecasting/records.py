"""Forecasts that are kept: one of each subject and measure, made anew every day, or when somebody looks first.

The same history gives the same forecast, so two that make one at once keep the same, and what was done twice is done.
Trials are kept where a night took its time for them; all others are had again from the history, exactly (`as_made`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec
import zstandard
from django.db import connection
from django.db.models import OuterRef, Subquery

from accounts.models import Organization
from core.errors import ApiError
from core.periods import day_start, local_day
from metering.query.run import scope_of
from reports.forecasting.engine import forecast
from reports.forecasting.horizons import Horizon, horizons_of
from reports.forecasting.outlook import Band, Measured, Outlook, Trial
from reports.forecasting.subjects import WHOLE, History, Subject, histories, nightly
from reports.models import Forecast, ForecastMeasure, ForecastScope

MEASURES: tuple[str, ...] = tuple(ForecastMeasure.values)
# What comes late of a day mostly comes within it.
AFTER = dt.timedelta(hours=1)
# What nobody looked at for that long, of a subject that is not forecast every night, is forgotten.
KEPT = dt.timedelta(days=45)
_FIELDS = (
    "made_at", "first_day", "timezone", "days", "totals", "method", "basis", "measured", "horizons",
    "trials", "history_from", "history",
)  # fmt: skip

_LOCK = 7_267

Wanted = tuple[Subject, str]


class Kept(msgspec.Struct, frozen=True):
    """A forecast as it was made. `outlook` has no trials here, and is None where there was too little history.

    `horizons[k]` says how good it was k days ahead.

    `history` is what each day had from `history_from` on, in tokens or nano-dollars, as it was known then.
    """

    subject: Subject
    measure: str
    made_at: dt.datetime
    first_day: dt.date
    outlook: Outlook | None
    history_from: dt.date
    history: tuple[int, ...]
    horizons: tuple[Horizon, ...]


def fresh(organization: Organization, wanted: Iterable[Wanted], at: dt.datetime) -> dict[Wanted, Kept]:
    """Those of today, made now where there are none yet."""
    asked = list(dict.fromkeys(wanted))
    with scope_of(organization.pk):
        found = _present(organization, asked, at)
        if len(found) < len(asked):
            # Of two that look first at once the second waits, and finds what the first has made.
            _lock(organization)
            found = _present(organization, asked, at)
            missing = [one for one in asked if one not in found]
            found |= {(kept.subject, kept.measure): kept for kept in make(organization, missing, at)}
    return {one: found[one] for one in asked}


def _present(organization: Organization, asked: Sequence[Wanted], at: dt.datetime) -> dict[Wanted, Kept]:
    rows = Forecast.objects.filter(
        ref__in={subject.ref for subject, _ in asked},
        scope__in={subject.scope for subject, _ in asked},
        first_day=local_day(at, organization.zone),
        timezone=organization.timezone,
    ).defer("trials")
    found = {(kept.subject, kept.measure): kept for kept in map(_read, rows)}
    return {one: found[one] for one in asked if one in found}


def _lock(organization: Organization) -> None:
    """Rows are written by one transaction at a time, which may write several times: none waits for another's rows."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, organization.pk])


def as_made(organization: Organization, kept: Kept) -> Outlook | None:
    """The kept forecast with every trial of its back-test. Reading it changes nothing.

    Raises ApiError 409 where another version of the product made it, so that its trials are not had again.
    """
    with scope_of(organization.pk):
        rows = Forecast.objects.filter(scope=kept.subject.scope, ref=kept.subject.ref, measure=kept.measure)
        packed = rows.filter(made_at=kept.made_at).values_list("trials", flat=True).first()
    if packed is not None and kept.outlook is not None:
        trials, total_trials = _unpacked(packed)
        return msgspec.structs.replace(kept.outlook, trials=trials, total_trials=total_trials)
    outlook = forecast(kept.history, kept.history_from)
    if _without_trials(outlook) != kept.outlook:
        text = (
            "Another version of Tokenledger made this forecast, so its trials cannot be had again. They come with the "
            "next one, an hour after the day has ended."
        )
        raise ApiError(409, "conflict", text)
    return outlook


_Trials = tuple[tuple[Trial, ...], tuple[Trial, ...]]


def _packed(outlook: Outlook) -> bytes:
    return zstandard.compress(msgspec.msgpack.encode((outlook.trials, outlook.total_trials)), 9)


def _unpacked(packed: bytes) -> _Trials:
    found: _Trials = msgspec.msgpack.decode(zstandard.decompress(packed), type=_Trials)
    return found


def _without_trials(outlook: Outlook | None) -> Outlook | None:
    return None if outlook is None else msgspec.structs.replace(outlook, trials=(), total_trials=())


def make(
    organization: Organization, wanted: Sequence[Wanted], at: dt.datetime, *, is_thorough: bool = False
) -> list[Kept]:
    """Forecasts from the days before today's, kept in the place of earlier ones."""
    if not wanted:
        return []
    today = local_day(at, organization.zone)
    with scope_of(organization.pk):
        known = histories(organization, {subject for subject, _ in wanted}, today)
        rows = [
            _made(organization, subject, measure, known[subject], today, at, is_thorough=is_thorough)
            for subject, measure in sorted(wanted)
        ]
        _lock(organization)
        Forecast.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["organization", "scope", "ref", "measure"],
            update_fields=list(_FIELDS),
        )
    return [_read(row) for row in rows]


def make_all(organization: Organization, at: dt.datetime, *, is_thorough: bool = False) -> int:
    """Everybody's who is forecast every night; the number of forecasts. What was long not made anew is forgotten.

    Each subject by itself, so that nobody who looks waits for long; the organization's own are worth the time that
    `is_thorough` takes.
    """
    with scope_of(organization.pk):
        wanted = nightly(organization, at)
    # The organization's own are last: that they are there says that all are.
    for subject, measures in reversed(wanted.items()):
        asked = [(subject, measure) for measure in measures]
        make(organization, asked, at, is_thorough=is_thorough and subject == WHOLE)
    with scope_of(organization.pk):
        Forecast.objects.filter(made_at__lt=at - KEPT).delete()
    return sum(map(len, wanted.values()))


def due(at: dt.datetime) -> list[Organization]:
    """Organizations where a day has ended, and an hour passed, since they were forecast last. Needs `unscoped`."""
    whole = Forecast.objects.filter(scope=ForecastScope.ORGANIZATION, organization=OuterRef("pk"))
    made = whole.filter(timezone=OuterRef("timezone")).order_by("-made_at").values("made_at")[:1]
    rows = Organization.objects.annotate(forecast_at=Subquery(made)).order_by("pk")
    return [one for one in rows if one.forecast_at is None or one.forecast_at < _due_since(one, at)]


def _due_since(organization: Organization, at: dt.datetime) -> dt.datetime:
    """When the last day had ended an hour ago."""
    return day_start(local_day(at - AFTER, organization.zone), organization.zone) + AFTER


# ── Rows ──


def _made(
    organization: Organization,
    subject: Subject,
    measure: str,
    history: History,
    today: dt.date,
    at: dt.datetime,
    *,
    is_thorough: bool,
) -> Forecast:
    values = history.of(measure)
    outlook = forecast(values, history.first, is_thorough=is_thorough)
    return Forecast(
        organization=organization,
        scope=subject.scope,
        ref=subject.ref,
        measure=measure,
        made_at=at,
        first_day=today,
        timezone=organization.timezone,
        days=[] if outlook is None else [msgspec.structs.astuple(band) for band in outlook.days],
        totals=[] if outlook is None else [msgspec.structs.astuple(band) for band in outlook.totals],
        method="" if outlook is None else outlook.method,
        basis="" if outlook is None else outlook.basis,
        measured=None if outlook is None else msgspec.to_builtins(outlook.measured),
        horizons=[] if outlook is None else msgspec.to_builtins(horizons_of(outlook)),
        trials=_packed(outlook) if outlook is not None and is_thorough else None,
        history_from=history.first,
        history=values,
    )


def _read(row: Forecast) -> Kept:
    return Kept(
        Subject(str(row.scope), row.ref),
        str(row.measure),
        row.made_at,
        row.first_day,
        Outlook(
            row.first_day,
            tuple(Band(*band) for band in row.days),
            tuple(Band(*band) for band in row.totals),
            row.method,
            row.basis,
            msgspec.convert(row.measured, Measured | None),
            (),
            (),
        )
        if row.days
        else None,
        row.history_from,
        tuple(row.history),
        msgspec.convert(row.horizons, tuple[Horizon, ...]),
    )
