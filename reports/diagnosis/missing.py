"""Why usage may be missing: who fell silent, what was refused, what waits, what came late."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import defaultdict

from django.db.models import Max, Q, Sum

from accounts.models import APIKey
from core.periods import local_day
from metering.models import Hold, ImportStatus, Refusal, UsageImport
from metering.query.health import SKEW, arrivals
from metering.query.ranges import Span
from reports.diagnosis.finding import Finding, Looked, Row, Subject, counted

HOUR = dt.timedelta(hours=1)
RHYTHM = dt.timedelta(days=28)
# Who sent in fewer hours (or days) than that has no rhythm to fall out of.
FEWEST_HOURS, FEWEST_DAYS = 12, 5
SHORTEST_SILENCE = 3 * HOUR
# Longer than the longest silence before, by so much.
LONGER = 1.5
WAITING = dt.timedelta(minutes=5)
FUTURE = dt.timedelta(days=400)

ADVICE = {
    "revoked_api_key": "a program still uses it: give it a working key",
    "expired_api_key": "a program still uses it: rotate it or give the program another",
    "missing_scope": "it lacks the right to send: make one with the scope",
    "event_conflict": "an id was used twice with different content: the first stands",
    "rate_limit_exceeded": "calls came faster than allowed",
    "insufficient_quota": "a limit was reached",
}


def quiet_keys(subject: Subject) -> Finding:
    said = Looked(
        "quiet_keys",
        "Keys that fell silent",
        f"The hours of the 28 days before {subject.day(subject.moment)} in which each key sent usage.",
    )
    span = Span(subject.moment - RHYTHM, subject.moment)
    hours: dict[str, list[dt.datetime]] = defaultdict(list)
    names = {}
    for row in subject.run(span, group_by=("api_key",), interval="hour", order_by=("start",)).rows:
        key = row.group["api_key"]
        if key.key is not None and row.figures.requests:
            hours[key.key].append(row.start)
            names[key.key] = key.label or key.key
    quiet = []
    for prefix, active in hours.items():
        silence = subject.moment - (active[-1] + HOUR)
        longest = _longest_gap(active) - HOUR
        if len(active) >= FEWEST_HOURS and silence >= max(SHORTEST_SILENCE, longest * LONGER):
            detail = f"silent for {_hours(silence)} since {subject.day(active[-1])}; before, {_hours(longest)} at most"
            quiet.append(Row(names[prefix], detail, subject.url("reports:overview", api_key=prefix, range="30d")))
    if not quiet:
        return said.fine(found=f"{counted(len(hours), 'key')} sent usage, each in its usual rhythm.")
    return said.cause(
        found=f"{counted(len(quiet), 'key')} of {len(hours)} sent regularly and does so no more.",
        advice="Look whether the programs behind them run and which key they use.",
        rows=quiet,
    )


def quiet_integrations(subject: Subject) -> Finding:
    said = Looked(
        "quiet_integrations",
        "Integrations that fell silent",
        f"The days of the 28 before {subject.day(subject.moment)} on which each integration sent usage.",
    )
    span = Span(subject.moment - RHYTHM, subject.moment)
    days: dict[str, list[dt.datetime]] = defaultdict(list)
    for row in subject.run(span, group_by=("integration",), interval="day", order_by=("start",)).rows:
        name = row.group["integration"].key
        if name is not None and row.figures.requests:
            days[name].append(row.start)
    today = local_day(subject.moment, subject.zone)
    quiet = []
    for name, active in days.items():
        silent = (today - local_day(active[-1], subject.zone)).days - 1
        longest = round(_longest_gap(active) / dt.timedelta(days=1)) - 1
        if len(active) >= FEWEST_DAYS and silent >= max(1, longest + 1):
            last = f"{active[-1].astimezone(subject.zone):%-d %b %Y}"
            detail = f"no whole day with usage since {last}; before, {counted(longest, 'day')} without at most"
            quiet.append(Row(name, detail, subject.url("reports:overview", integration=name, range="30d")))
    if not quiet:
        return said.fine(found=f"{counted(len(days), 'integration')} sent usage in the usual rhythm.")
    return said.cause(
        found=f"{counted(len(quiet), 'integration')} of {len(days)} sent regularly and does so no more.",
        advice="Look whether the service is still connected.",
        rows=quiet,
    )


def refused(subject: Subject) -> Finding:
    first, last = (at.astimezone(dt.UTC).date() for at in (subject.start, subject.moment))
    said = Looked(
        "refused",
        "Calls and events that were refused",
        f"What was answered with an error to keys of yours from {first:%-d %b} to {last:%-d %b %Y} (UTC).",
    )
    keys = _keys(subject)
    rows = Refusal.objects.filter(day__gte=first, day__lte=last, api_key_id__in=keys)
    found = (
        rows.values("api_key_id", "code").annotate(total=Sum("count"), last=Max("last_at")).order_by("-total", "code")
    )
    refusals = [
        Row(
            f"{keys[row['api_key_id']]}: {row['code']}, {counted(row['total'], 'time')}",
            f"last {subject.day(row['last'])}" + (f"; {ADVICE[row['code']]}" if row["code"] in ADVICE else ""),
            subject.url("accounts:keys"),
        )
        for row in found
    ]
    if not refusals:
        return said.fine(found="Nothing was refused.")
    total = sum(row["total"] for row in found)
    return said.cause(
        found=f"{counted(total, 'refusal')}: none of them is in your usage.",
        advice="The answers had the reason; clients that ignore errors lose usage. Events can be sent again, safely.",
        rows=refusals,
    )


def ended_keys(subject: Subject) -> Finding:
    said = Looked(
        "ended_keys", "Keys that ended", "Keys revoked or expired in the range, and when they were used last."
    )
    ended = APIKey.objects.filter(pk__in=_keys(subject)).filter(
        Q(revoked_at__gte=subject.start, revoked_at__lt=subject.moment)
        | Q(expires_at__gte=subject.start, expires_at__lt=subject.moment, revoked_at=None)
    )
    rows = []
    for key in ended.order_by("name"):
        at = key.revoked_at or key.expires_at
        if at is None or key.last_used_at is None or key.last_used_at < at - dt.timedelta(days=1):
            continue
        detail = f"{key.status} {subject.day(at)}, used until {subject.day(key.last_used_at)}"
        rows.append(Row(f"{key.name} ({key.prefix}…)", detail, subject.url("accounts:keys", state="ended")))
    if not rows:
        return said.fine(found="No key ended while it was in use.")
    return said.cause(
        found=f"{counted(len(rows), 'key')} ended while still in use.",
        advice="Give the programs that used them another key.",
        rows=rows,
    )


def imports(subject: Subject) -> Finding:
    said = Looked("imports", "Imports", "Files imported in the range, row by row.")
    files = UsageImport.objects.filter(created_at__gte=subject.start, created_at__lt=subject.end).order_by(
        "-created_at"
    )
    rows = []
    for file in files:
        lost = sum(int(file.tally.get(name, 0)) for name in ("invalid", "conflicts", "refused"))
        url = subject.url("metering:import", file.pk)
        if file.status == ImportStatus.FAILED:
            rows.append(Row(file.file_name, f"failed: {file.problem}", url))
        elif file.status == ImportStatus.FINISHED and lost:
            rows.append(Row(file.file_name, f"{counted(lost, 'row')} not stored", url))
        elif file.status in (ImportStatus.UPLOADED, ImportStatus.CHECKED):
            rows.append(Row(file.file_name, "uploaded and not imported", url))
    if not rows:
        return said.fine(found=f"{counted(len(files), 'file')}, every row of which was stored.")
    return said.cause(
        found=f"{counted(len(rows), 'file')} of {len(files)} left something out.",
        advice="Each import lists its rows with the reason; a mended file can be imported again, nothing counts twice.",
        rows=rows,
    )


def waiting_calls(subject: Subject) -> Finding:
    lost = Hold.objects.filter(expires_at__lt=subject.now - WAITING, released_at=None)
    said = Looked(
        "waiting_calls",
        "Calls that wait to be settled",
        "Calls that were let in under a limit and whose use was due to be told.",
    )
    count = lost.count()
    if not count:
        return said.fine(found="None is overdue.")
    return said.cause(
        found=f"{counted(count, 'call')} should be usage by now and is not.",
        advice="Workers turn them into estimated usage: tell whoever runs this installation that they do not.",
    )


def other_times(subject: Subject) -> Finding:
    came = arrivals(subject.organization.pk, subject.start, subject.end, subject.filters)
    ahead = subject.run(Span(subject.now + SKEW, subject.now + FUTURE)).totals.requests
    said = Looked(
        "other_times",
        "Usage in another place of time",
        f"{counted(came.events, 'event')} of the range: when they happened, when they came. And times to come.",
    )
    if ahead:
        ends = {"from": f"{subject.now.astimezone(subject.zone):%Y-%m-%dT%H:%M}",
                "to": f"{(subject.now + FUTURE).astimezone(subject.zone):%Y-%m-%dT%H:%M}"}  # fmt: skip
        return said.cause(
            found=f"{counted(ahead, 'event is', 'events are')} said to happen in the future, and seen when it comes.",
            advice="Set the clock of the sender, or its time zone, and correct these events.",
            rows=(Row("Events of times to come", "", subject.url("reports:usage", range="custom", **ends)),),
        )
    if came.late:
        longest = came.latest_delay or dt.timedelta()
        return said.told(
            found=f"{counted(came.late, 'event')} came more than a day late, the latest after {_hours(longest)}.",
            advice="What is late is booked when it happened: earlier files and screenshots had less.",
            rows=(Row("The calls", "", subject.calls_url()),),
        )
    return said.fine(found="All came within a day, and none from the future.")


def estimated(subject: Subject) -> Finding:
    came = arrivals(subject.organization.pk, subject.start, subject.end, subject.filters)
    said = Looked("estimated", "Calls whose use is not exactly known", f"{counted(came.events, 'event')} of the range.")
    if not came.estimated and not came.unknown_usage:
        return said.fine(found="Of each of them the provider said what was used.")
    return said.told(
        found=f"{counted(came.estimated, 'event')} estimated; {counted(came.unknown_usage, 'call')} of unknown use.",
        advice="Streams tell their use at the end, when asked: set stream_options.include_usage at the client.",
        rows=(Row("The calls", "", subject.calls_url()),),
    )


def _keys(subject: Subject) -> dict[int, str]:
    """The keys it is about, by id."""
    rows = APIKey.objects.all()
    if prefixes := subject.filters.get("api_key"):
        rows = rows.filter(prefix__in=prefixes)
    if members := subject.filters.get("member"):
        ids = [value for value in members if isinstance(value, int)]
        emails = [value for value in members if isinstance(value, str)]
        rows = rows.filter(Q(member__in=ids) | Q(member__user__email__in=emails))
    return {pk: f"{name} ({prefix}…)" for pk, name, prefix in rows.values_list("pk", "name", "prefix")}


def _longest_gap(active: list[dt.datetime]) -> dt.timedelta:
    return max((after - before for before, after in itertools.pairwise(active)), default=dt.timedelta())


def _hours(time: dt.timedelta) -> str:
    hours = max(0, round(time / HOUR))
    return counted(hours, "hour") if hours < 72 else counted(hours // 24, "day")
