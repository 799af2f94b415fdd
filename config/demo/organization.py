"""The demo's people and their usage, written once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from allauth.account.models import EmailAddress
from django.utils.timezone import now as current_time

from accounts import keys, organizations, teams
from accounts.audit import Actor
from accounts.members import invite
from accounts.models import APIKey, Membership, Organization, Project, Role, Scope, Team, User
from billing import plans, subscriptions
from billing.credits import wallets
from billing.enforcement import enforce
from billing.invoices.closing import GRACE
from billing.models import Feature, Overage
from config.demo.usage import WORKLOADS, calls_of_hour
from core.money import NANOS_PER_USD
from core.periods import local_day
from core.tenancy import organization_scope, unscoped
from metering import pipeline
from metering.directory import Directory
from metering.ingest.batch import parse_value
from metering.pricing.book import PriceBook
from metering.store.base import Outcome
from reports.monthly.month import Month

NAME, ZONE = "Northbound Labs", "Europe/Berlin"
SECOND_NAME, SECOND_ZONE = "Sagarmatha Studio", "Asia/Kathmandu"
# The last month that is told as a report, the same one of the year before from its first day on, and all between.
HISTORY_MONTHS = 12
BATCH = 4_000
BY = Actor.of_command("demo")
SCALE = "scale"
# The month's usage comes to a little more than it includes.
SCALE_TERMS = plans.Terms(
    "Scale", 6, False, 199 * NANOS_PER_USD, 27_000_000, Overage.CHARGE, 6_000, 6_000_000, (Feature.TEAM_USAGE,)
)

# e-mail name, full name, role, team, whether they lead it
PEOPLE = (
    ("alice", "Alice Smith", Role.OWNER, "Support", True),
    ("adam", "Adam Novak", Role.ADMIN, "Platform", False),
    ("fiona", "Fiona Keller", Role.FINANCE, None, False),
    ("bob", "Bob Johnson", Role.MEMBER, "Search", True),
    ("carol", "Carol Davis", Role.MEMBER, "Marketing", True),
    ("david", "David Wilson", Role.MEMBER, "Platform", True),
    ("priya", "Priya Raman", Role.MEMBER, "Research", True),
    ("erik", "Erik Lund", Role.MEMBER, "Search", False),
    ("mei", "Mei Tanaka", Role.MEMBER, "Support", False),
    ("vera", "Vera Costa", Role.VIEWER, None, False),
)
# Has been asked to join, and has not answered yet.
INVITED = "nina@northbound.test"
DEPARTMENTS = (
    ("Product", "CC-1100", ("Search", "Research", "Platform")),
    ("Customers", "CC-2300", ("Support",)),
    ("Growth", "CC-3100", ("Marketing",)),
)
TEAM_OF_PROJECT = {
    "search-assist": "Search",
    "support-bot": "Support",
    "marketing-studio": "Marketing",
    "doc-pipeline": "Platform",
    "evals": "Research",
    "voice-line": "Support",
}


def found() -> Organization | None:
    """The demo organization, when a demo has made it before."""
    with unscoped("the demo asks whether its organization exists"):
        return Organization.objects.filter(name=NAME).first()


def create(password: str) -> tuple[Organization, str]:
    """Make the organization with people, teams, projects and keys. Returns it and the secret for live traffic."""
    users = {name: make_user(f"{name}@northbound.test", full, password) for name, full, *_ in PEOPLE}
    organization = organizations.create_organization(
        NAME,
        users["alice"],
        by=BY,
        timezone=ZONE,
        country="DE",
        plan="developer",
        at=_days_ago(history_days(current_time())),
    )
    _subscribe(organization)
    with organization_scope(organization.pk):
        members = {"alice": Membership.objects.get(user=users["alice"])}
        for name, _, role, *_ in PEOPLE[1:]:
            members[name] = Membership.objects.create(organization=organization, user=users[name], role=role)
        places: dict[str, Team] = {}
        for department_name, cost_center, names in DEPARTMENTS:
            department = teams.create_department(organization, department_name, by=BY, cost_center=cost_center)
            for name in names:
                places[name] = teams.create_team(organization, name, by=BY, department=department)
        for name, _, _, team_name, leads in PEOPLE:
            if team_name:
                teams.add_to_team(places[team_name], members[name], by=BY, is_admin=leads)
        invite(organization, INVITED, Role.MEMBER, by=BY, team=places["Support"])
        for workload in WORKLOADS:
            team = places.get(TEAM_OF_PROJECT.get(workload.project, ""))
            project = teams.create_project(organization, workload.project, by=BY, team=team)
            keys.create_key(organization, workload.key, [Scope.USAGE_WRITE], by=BY, project=project)
        _, secret = keys.create_key(organization, "demo", [Scope.USAGE_WRITE, Scope.USAGE_READ, Scope.GATEWAY], by=BY)
    _second_organization(users)
    return organization, secret


def make_user(email: str, name: str, password: str) -> User:
    user = User.objects.create_user(email, password, name=name)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return user


def history_days(now: dt.datetime) -> int:
    """Days of usage: from before the month that the last report of a month is held against a year later."""
    zone = ZoneInfo(ZONE)
    first = Month.at(now - GRACE, zone).before.back(HISTORY_MONTHS).first
    return (local_day(now, zone) - first).days + 1


def _days_ago(days: int) -> dt.datetime:
    return current_time() - dt.timedelta(days=days)


def _subscribe(organization: Organization) -> None:
    """Grown from Developer to a plan agreed upon with the operator."""
    plans.create_plan(SCALE, SCALE_TERMS, by_label=BY.label)
    contract = subscriptions.change_plan(organization, SCALE, by=BY, is_agreed=True, at=_days_ago(270))
    wallets.grant(organization, 25 * NANOS_PER_USD, "demo:welcome", by=BY, at=_days_ago(40), note="Welcome to Scale")
    with organization_scope(organization.pk):
        enforce(contract)


def _second_organization(users: dict[str, User]) -> None:
    """Somewhere else to switch to, where the clock is a quarter of an hour off."""
    studio = organizations.create_organization(
        SECOND_NAME, users["priya"], by=BY, timezone=SECOND_ZONE, country="NP", plan="startup", at=_days_ago(120)
    )
    with organization_scope(studio.pk):
        Membership.objects.create(organization=studio, user=users["alice"], role=Role.ADMIN)
        for workload in WORKLOADS[:2]:
            teams.create_project(studio, workload.project, by=BY)
            keys.create_key(studio, workload.key, [Scope.USAGE_WRITE], by=BY)


def write_history(progress: Callable[[float], None]) -> int:
    """More than a year of usage up to now, through the same pipeline as anybody's. Returns the number of events."""
    now = current_time()
    with unscoped("the demo writes the history of its two organizations"):
        northbound, studio = Organization.objects.get(name=NAME), Organization.objects.get(name=SECOND_NAME)
    book = PriceBook.load()
    written = write_usage(
        northbound, book, now, history_days(now), 1.0, {w.project for w in WORKLOADS}, lambda part: progress(part * 0.9)
    )
    projects = {w.project for w in WORKLOADS[:2]}
    return written + write_usage(studio, book, now, 120, 0.2, projects, lambda part: progress(0.9 + part * 0.1))


def write_usage(
    organization: Organization,
    book: PriceBook,
    now: dt.datetime,
    days: int,
    scale: float,
    projects: set[str],
    progress: Callable[[float], None],
) -> int:
    directory = Directory.load(organization.pk)
    senders = senders_of(organization, projects)
    with organization_scope(organization.pk):
        known = set(Project.objects.values_list("slug", flat=True))
    waiting: dict[str, list[dict[str, Any]]] = {project: [] for project in projects & known}
    hours = days * 24
    start = now.replace(minute=0, second=0, microsecond=0) - dt.timedelta(hours=hours)
    written = 0
    for number in range(hours + 1):
        hour = start + dt.timedelta(hours=number)
        for call in calls_of_hour(hour, now, organization.zone, scale=scale):
            if call["project"] in waiting and dt.datetime.fromisoformat(call["occurred_at"]) <= now:
                waiting[call["project"]].append(call)
        for project, calls in waiting.items():
            if len(calls) >= BATCH or (number == hours and calls):
                written += record_calls(directory, book, senders[project], calls, now)
                calls.clear()
        if number % 240 == 0:
            progress(number / hours)
    with organization_scope(organization.pk):
        APIKey.objects.filter(pk__in=[sender.api_key_id for sender in senders.values()]).update(last_used_at=now)
    return written


def senders_of(organization: Organization, projects: set[str]) -> dict[str, pipeline.Sender]:
    """The key that the calls of each project come with."""
    with organization_scope(organization.pk):
        key_of = dict(APIKey.objects.values_list("name", "id"))
    return {w.project: pipeline.Sender(api_key_id=key_of[w.key]) for w in WORKLOADS if w.project in projects}


def record_calls(
    directory: Directory, book: PriceBook, sender: pipeline.Sender, calls: list[dict[str, Any]], now: dt.datetime
) -> int:
    """Through the same pipeline as anybody's. Returns how many of the calls were new."""
    parsed = [parse_value(call, is_strict=True, received_at=now) for call in calls]
    wrong = next((one.problem for one in parsed if one.problem), None)
    if wrong:
        raise ValueError(f"the demo wrote an event that is not one: {wrong.message}")
    with organization_scope(directory.organization_id):
        rated = pipeline.record(directory, book, sender, [one.event for one in parsed if one.event], now)
    return sum(one.outcome is Outcome.CREATED for one in rated)
