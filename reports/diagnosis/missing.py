"""Why usage may be missing: who fell silent, what was refused, what waits, what came late."""

from __future__ import annotations

import datetime as dt
import difflib
import itertools
from collections import defaultdict

import msgspec
from django.db.models import Max, Q, Sum

from accounts.models import APIKey, Scope
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
# How far back the last use of what was chosen is looked for.
EARLIER = dt.timedelta(days=730)
MOST_SIMILAR = 3
_SENDS = (Scope.USAGE_WRITE, Scope.GATEWAY)
_NAMES = {"model": "model", "api_key": "key", "member": "member"}

ADVICE = {
    "revoked_api_key": "a program still uses it: give it a working key",
    "expired_api_key": "a program still uses it: rotate it or give the program another",
    "missing_scope": "it lacks the right to send: make one with the scope",
    "event_conflict": "an id was used twice with different content: the first stands",
    "rate_limit_exceeded": "calls came faster than allowed",
    "insufficient_quota": "a limit was reached",
}


def chosen_usage(subject: Subject) -> Finding:
    """Before all else: of what is not there at all, the other checks find nothing wrong."""
    said = Looked(
        "chosen_usage",
        "The usage that was chosen",
        f"The range, and before it back to {subject.day(subject.moment - EARLIER)}.",
    )
    if here := subject.run().totals.requests:
        return said.fine(found=f"{counted(here, 'call')} in the range.")
    days = subject.run(Span(subject.moment - EARLIER, subject.moment), interval="day", order_by=("start",)).rows
    last = next((row.start for row in reversed(days) if row.figures.requests), None)
    ever = f"the last is of {last.astimezone(subject.zone):%-d %b %Y}" if last else "there is none before it either"
    chosen = [_NAMES[name] for name in ("model", "api_key") if name in subject.filters]
    if chosen:
        return said.cause(
            found=f"No usage of this {' and '.join(chosen)} in the range; {ever}.",
            advice="Look whether it is the right one, and written as the programs send it.",
            rows=_similar_models(subject),
        )
    if last is None:
        return said.unjudged(found=f"No usage in the range; {ever}.")
    return said.told(found=f"No usage in the range; {ever}.", advice="Choose a range that has usage to judge by.")


def _similar_models(subject: Subject) -> list[Row]:
    """Models in use in the range whose names look like the chosen one's."""
    others = msgspec.structs.replace(
        subject, filters={name: values for name, values in subject.filters.items() if name != "model"}
    )
    used = [row.group["model"].label for row in others.run(group_by=("model",)).rows]
    names = [name for name in used if name is not None]
    found = [
        name
        for wanted in subject.filters.get("model", ())
        for name in difflib.get_close_matches(str(wanted), names, MOST_SIMILAR)
    ]
    return [Row(name, "is used in the range", subject.usage_url(model=name)) for name in found]


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
    unheard = _unheard(subject, set(hours))
    if not quiet and unheard:
        return said.told(
            found=f"{counted(len(unheard), 'key')} could send and did not; {len(hours)} did, in the usual rhythm.",
            advice="Look whether programs were to use them.",
            rows=unheard,
        )
    if not quiet and not hours:
        return said.unjudged(found="No key sent such usage.")
    if not quiet:
        return said.fine(found=f"{counted(len(hours), 'key')} sent usage, each in its usual rhythm.")
    return said.cause(
        found=f"{counted(len(quiet), 'key')} of {len(hours)} sent regularly and does so no more.",
        advice="Look whether the programs behind them run and which key they use.",
        rows=[*quiet, *unheard],
    )


def _unheard(subject: Subject, heard: set[object]) -> list[Row]:
    """Keys that may send and sent nothing in these days. That one was not used for a model is no fault of it."""
    if "model" in subject.filters:
        return []
    working = APIKey.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=subject.now),
        pk__in=_keys(subject),
        revoked_at=None,
        scopes__overlap=_SENDS,
    )
    return [
        Row(
            f"{key.name} ({key.prefix}…)",
            f"no usage; last used {subject.day(key.last_used_at)}" if key.last_used_at else "never used",
            subject.url("accounts:keys"),
        )
        for key in working.order_by("name")
        if key.prefix not in heard
    ]


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
    if not days:
        return said.unjudged(found="No integration sent such usage.")
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
        f"What was answered with an error to keys of yours from {first:%-d %b} to {last:%-d %b %Y} (UTC)."
        + _untold(subject, "model"),
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
        "ended_keys",
        "Keys that ended",
        "Keys revoked or expired in the range, and when they were used last." + _untold(subject, "model"),
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
    said = Looked("imports", "Imports", "Files imported in the range, row by row." + _untold(subject, *_NAMES))
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
    if not files:
        return said.unjudged(found="No file was imported.")
    if not rows:
        return said.fine(found=f"{counted(len(files), 'file')}, every row of which was stored.")
    return said.cause(
        found=f"{counted(len(rows), 'file')} of {len(files)} left something out.",
        advice="Each import lists its rows with the reason. Import a mended file again: nothing is counted twice.",
        rows=rows,
    )


def waiting_calls(subject: Subject) -> Finding:
    lost = Hold.objects.filter(expires_at__lt=subject.now - WAITING, released_at=None)
    said = Looked(
        "waiting_calls",
        "Calls that wait to be settled",
        "Calls that were let in under a limit and whose use was due to be told." + _untold(subject, *_NAMES),
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
        "Usage at another time",
        f"{counted(came.events, 'event')} of the range: when they happened, and when they came. Also the future.",
    )
    if ahead:
        ends = {"from": f"{subject.now.astimezone(subject.zone):%Y-%m-%dT%H:%M}",
                "to": f"{(subject.now + FUTURE).astimezone(subject.zone):%Y-%m-%dT%H:%M}"}  # fmt: skip
        return said.cause(
            found=f"{counted(ahead, 'event is', 'events are')} said to happen in the future, and seen when it comes.",
            advice="Set the clock of the sender, or its time zone, and correct these events.",
            rows=(Row("Events dated in the future", "", subject.url("reports:usage", range="custom", **ends)),),
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


def _untold(subject: Subject, *names: str) -> str:
    """Which of the chosen filters a check cannot look through, as a sentence behind what it looked at."""
    chosen = [_NAMES[name] for name in names if name in subject.filters]
    return f" Whatever the {' or '.join(chosen)}: this check does not tell them apart." if chosen else ""


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
