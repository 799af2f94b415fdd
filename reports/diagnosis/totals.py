"""Why totals of teams may differ from what is expected: whether they add up, and whom usage counts for."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

import msgspec

from accounts.models import AuditEntry, Membership
from metering.models import Ledger
from metering.query.health import arrivals
from metering.query.metrics import Figures
from metering.query.plan import Source
from reports.diagnosis.finding import Finding, Looked, Row, Subject, counted

_MOVES = ("team.", "department.", "project.")


def roll_ups(subject: Subject) -> Finding:
    kept = _by_team(subject, frozenset(Source))
    events = _by_team(subject, frozenset({Source.EVENTS}))
    rows = [
        Row(
            name, _difference(kept.get(name, Figures()), events.get(name, Figures())), subject.url("metering:integrity")
        )
        for name in sorted({*kept, *events})
        if kept.get(name, Figures()) != events.get(name, Figures())
    ]
    calls = sum(figures.requests for figures in events.values())
    said = Looked(
        "roll_ups",
        "Whether totals add up",
        f"{counted(calls, 'event')}, counted one by one beside the sums that pages show, for each team.",
    )
    if not rows:
        return said.fine(found="Each team's figures are exactly those of its events.")
    return said.cause(
        found=f"{counted(len(rows), 'team')} with other figures than their events have.",
        advice="Prove the months on the Integrity page, and tell whoever runs this installation: sums can be rebuilt.",
        rows=rows,
    )


def without_team(subject: Subject) -> Finding:
    result = subject.run(group_by=("member",), filters={"team": (None,)})
    said = Looked(
        "without_team",
        "Usage of no team",
        f"{counted(subject.run().totals.requests, 'call')} of the range and the team each counts for.",
    )
    rows = [
        Row(
            row.group["member"].label or "of no member either",
            counted(row.figures.requests, "call"),
            subject.usage_url(team=None, member=row.group["member"].key),
        )
        for row in result.rows
    ]
    if not rows:
        return said.fine(found="Each counts for a team: the teams sum to the organization.")
    return said.cause(
        found=f"{counted(result.totals.requests, 'call')} count for no team, so teams sum to less than everything.",
        advice="Put the members into a team, or the keys into a project of one. It holds for calls from then on.",
        rows=rows,
    )


def several_teams(subject: Subject) -> Finding:
    teams: dict[str, dict[str, int]] = defaultdict(dict)
    keys: dict[str, str | None] = {}
    for row in subject.run(group_by=("member", "team")).rows:
        member, team = row.group["member"], row.group["team"]
        if member.ref and team.ref:
            name = member.label or f"member {member.ref}"
            teams[name][team.label or f"team {team.ref}"] = row.figures.requests
            keys[name] = member.key
    said = Looked(
        "several_teams",
        "Members who count for several teams",
        f"{counted(len(teams), 'member')} with usage in the range.",
    )
    rows = [
        Row(
            name,
            ", ".join(f"{team} {count:,}" for team, count in sorted(counts.items(), key=lambda pair: -pair[1])),
            subject.usage_url(member=keys[name]) + "&by=team",
        )
        for name, counts in sorted(teams.items())
        if len(counts) > 1
    ]
    if not rows:
        return said.fine(found="Each counts for one team.")
    return said.told(
        found=f"The usage of {counted(len(rows), 'member')} is in more than one team's total.",
        advice="A call counts for its project's team; without one for the member's oldest team at that time.",
        rows=rows,
    )


def other_team_now(subject: Subject) -> Finding:
    """Usage stays with the team it was used in; a list of a team's present members sums to something else."""
    places: dict[int, set[int]] = defaultdict(set)
    for member, team in Membership.objects.filter(ended_at=None).values_list("pk", "places__team"):
        places[member].add(team or 0)
    rows = []
    for row in subject.run(group_by=("member", "team")).rows:
        member, team = row.group["member"], row.group["team"]
        if member.ref and team.ref and team.ref not in places.get(int(member.ref), set()):
            rows.append(
                Row(
                    member.label or f"member {member.ref}",
                    f"{counted(row.figures.requests, 'call')} for {team.label or 'a team that is gone'}",
                    subject.usage_url(member=member.key, team=team.key),
                )
            )
    said = Looked(
        "other_team_now",
        "Usage of people who are not in the team now",
        "The teams that usage counts for, beside the teams its members are in today.",
    )
    if not rows:
        return said.fine(found="Everybody is in the teams their usage counts for.")
    return said.told(
        found=f"{counted(len(rows), 'member and team', 'members and teams')} belong together no more, or never did.",
        advice="Who moved takes nothing along; who calls through a project counts for the project's team.",
        rows=rows,
    )


def moves(subject: Subject) -> Finding:
    entries = AuditEntry.objects.filter(at__gte=subject.start, at__lt=subject.end)
    rows = [
        Row(
            f"{entry.action.replace('.', ' ').replace('_', ' ')}: {entry.target_label}",
            f"{subject.day(entry.at)}, by {entry.actor_label}",
            subject.url("accounts:audit"),
        )
        for entry in entries.order_by("-at")
        if entry.action.startswith(_MOVES) and not entry.action.endswith(".create")
    ]
    said = Looked(
        "moves",
        "Teams that changed",
        "The audit log of the range: who joined or left teams, which projects and departments moved.",
    )
    if not rows:
        return said.fine(found="Nobody moved, and no project did.")
    return said.told(
        found=f"{counted(len(rows), 'change')} within the range: usage before each counts as it stood then.",
        advice="For a clean comparison take ranges that begin after the last of them.",
        rows=rows,
    )


def zone(subject: Subject) -> Finding:
    ledger = Ledger.objects.filter(organization=subject.organization).first()
    changed = [
        entry
        for entry in AuditEntry.objects.filter(action="organization.update", at__gte=subject.start).order_by("-at")
        if "timezone" in entry.changes
    ]
    said = Looked(
        "zone",
        "The time zone",
        f"The organization's zone, {subject.zone.key}, the zone its sums are kept in, and changes since.",
    )
    rows = [
        Row(f"{entry.changes['timezone'][0]} to {entry.changes['timezone'][1]}", subject.day(entry.at))
        for entry in changed
    ]
    if ledger is not None and ledger.timezone != subject.organization.timezone:
        return said.told(
            found=f"Sums are kept in {ledger.timezone} and being made anew; figures are right meanwhile.",
            advice="Nothing: pages are slower until that is done.",
            rows=rows,
        )
    if rows:
        return said.told(
            found=f"{counted(len(rows), 'change')} of zone: days begin at another moment than in figures taken before.",
            advice="Take the figures to compare anew.",
            rows=rows,
        )
    return said.fine(found="One zone all along.")


def later_changes(subject: Subject) -> Finding:
    came = arrivals(subject.organization.pk, subject.start, subject.end, subject.filters)
    said = Looked(
        "later_changes",
        "What came after figures were taken",
        f"{counted(came.events, 'event')} of the range, when each was received, and corrections.",
    )
    if not came.after_end and not came.superseded and not came.late:
        return said.fine(found="All came on their day, and nothing was corrected.")
    days = f"{came.latest_delay / dt.timedelta(days=1):.1f} days" if came.latest_delay and came.late else ""
    parts = [
        counted(came.after_end, "event") + " came after the range had ended" if came.after_end else "",
        counted(came.late, "event") + f" came more than a day late, up to {days}" if came.late else "",
        counted(came.superseded, "event was corrected", "events were corrected") if came.superseded else "",
    ]
    return said.told(
        found="; ".join(part for part in parts if part) + ".",
        advice="Files made before have other totals; made again they equal this page.",
        rows=(Row("The calls", "", subject.calls_url()),),
    )


def _by_team(subject: Subject, sources: frozenset[Source]) -> dict[str, Figures]:
    rows = subject.run(sources=sources, group_by=("team",)).rows
    return {row.group["team"].label or "no team": row.figures for row in rows}


def _difference(kept: Figures, events: Figures) -> str:
    names = [name for name in msgspec.structs.asdict(kept) if getattr(kept, name) != getattr(events, name)]
    shown = [f"{name} {getattr(kept, name):,}, of its events {getattr(events, name):,}" for name in names[:3]]
    return "; ".join(shown)
