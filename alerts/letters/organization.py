"""Keys that were made, people who joined, endpoints that are gone, reports that are there."""

from __future__ import annotations

from accounts.models import Organization
from alerts.letters.letter import Letter, day, enough, moment, usd
from alerts.payloads import KeyCreated, MemberJoined, ReportFailed, ReportReady, WebhookDisabled
from core import figures


def key_created(data: KeyCreated, organization: Organization) -> Letter:
    return Letter(
        subject=f"API key {data.name} of {organization.name} was made",
        lead=f"{data.created_by} made the API key {data.name} ({data.prefix}…).",
        path=data.page,
        table=enough(
            ("May", ", ".join(data.scopes)),
            ("Project", data.project),
            ("Acts for", data.member),
            ("Succeeds", f"{data.replaces}…" if data.replaces else None),
            ("Works until", moment(data.expires_at, organization.zone) if data.expires_at else None),
        ),
        text=("If nobody should have made it, revoke it: calls with it stop at once.",),
        action="See the keys",
    )


def member_joined(data: MemberJoined, organization: Organization) -> Letter:
    return Letter(
        subject=f"{data.name or data.email} joined {organization.name}",
        lead=f"{data.email} accepted the invitation to {organization.name} as {data.role}.",
        path=data.page,
        table=enough(("Role", data.role), ("Invited by", data.invited_by)),
        action="See the members",
    )


def webhook_disabled(data: WebhookDisabled, organization: Organization) -> Letter:
    why = "answered that it is gone" if data.reason == "gone" else "has failed for days"
    return Letter(
        subject=f"A webhook of {organization.name} is switched off",
        lead=f"{data.endpoint} {why} and is told nothing any more.",
        path=data.page,
        table=enough(
            ("Failing since", moment(data.failing_since, organization.zone)), ("Last problem", data.last_problem)
        ),
        text=("Mend it and switch it on again; what it has missed can be sent again.",),
        action="See the webhook",
        tone="caution",
    )


def report_failed(data: ReportFailed, organization: Organization) -> Letter:
    return Letter(
        subject=f"{data.report} is paused" if data.is_paused else f"{data.report} could not be made",
        lead=f"{data.report} was due {moment(data.due_at, organization.zone)}. {data.reason}",
        path=data.page,
        text=("It is made no more until somebody takes its schedule up.",) if data.is_paused else (),
        action="See the report",
        tone="warning",
    )


def report_ready(data: ReportReady, organization: Organization) -> Letter:
    whose = data.about.label if data.about and data.about.label else organization.name
    return Letter(
        subject=f"{data.report}: {whose}" + (f", {usd(data.cost_usd)}" if data.cost_usd else ""),
        lead=f"{data.report} of {whose} for {day(data.period_start)} to {day(data.period_end)} can be downloaded.",
        path=data.page,
        table=enough(
            ("Cost", usd(data.cost_usd) if data.cost_usd else None),
            ("The period before", usd(data.cost_usd_before) if data.cost_usd_before else None),
            ("Tokens", None if data.total_tokens is None else figures.tokens(data.total_tokens)),
            ("Requests", None if data.requests is None else figures.count(data.requests)),
            ("Formats", ", ".join(one.upper() for one in data.formats)),
        ),
        text=("It was made again, with usage that had come late.",) if data.revision else (),
        action="See the report",
    )
