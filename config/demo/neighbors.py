"""The demo's operator, and other organizations of the installation, so that it is not the only one they look after."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import msgspec
from django.utils.timezone import now as current_time

from accounts import keys, organizations, teams
from accounts.models import Membership, Organization, Role, Scope
from billing import subscriptions
from billing.credits import wallets
from config.demo.organization import BY, make_user, write_usage
from config.demo.usage import WORKLOADS
from core.money import NANOS_PER_USD
from core.tenancy import organization_scope, unscoped
from metering.pricing.book import PriceBook

HISTORY_DAYS = 65


class Neighbor(msgspec.Struct, frozen=True):
    """`scale` is its use beside Northbound's; `people` are e-mail name and full name, the owner first.

    It was founded `days` ago; `tries` is a plan whose trial it began later that week.
    """

    name: str
    domain: str
    zone: str
    country: str
    plan: str
    scale: float
    projects: tuple[str, ...]
    people: tuple[tuple[str, str], ...]
    days: int = HISTORY_DAYS
    tries: str = ""


NEIGHBORS = (
    Neighbor(
        "Halvorsen Bank", "halvorsen.test", "Europe/Oslo", "NO", "enterprise", 0.14, ("support-bot", "doc-pipeline"),
        (("ingrid", "Ingrid Halvorsen"), ("jonas", "Jonas Berg")),
    ),
    Neighbor(
        "Kestrel Robotics", "kestrel.test", "America/Los_Angeles", "US", "prepaid", 0.09, ("search-assist",),
        (("ruth", "Ruth Okafor"),),
    ),
    Neighbor(
        "Tamsin Health", "tamsin.test", "Europe/London", "GB", "startup", 0.3, ("evals", "marketing-studio"),
        (("harriet", "Harriet Moss"), ("leo", "Leo Grant"), ("sana", "Sana Malik")),
    ),
    Neighbor(
        "Alder Studio", "alder.test", "Europe/Vienna", "AT", "free", 0.02, ("search-assist",),
        (("emil", "Emil Gruber"),), days=9, tries="developer",
    ),
)  # fmt: skip


def create(operator_email: str, password: str) -> None:
    """The operator, who belongs to no organization, and the neighbors with their people, projects and keys."""
    operator = make_user(operator_email, "Oscar Lindqvist", password)
    operator.is_operator = True
    operator.save(update_fields=["is_operator"])
    for neighbor in NEIGHBORS:
        people = [make_user(f"{short}@{neighbor.domain}", full, password) for short, full in neighbor.people]
        organization = organizations.create_organization(
            neighbor.name,
            people[0],
            by=BY,
            timezone=neighbor.zone,
            country=neighbor.country,
            plan=neighbor.plan,
            at=current_time() - dt.timedelta(days=neighbor.days),
        )
        if neighbor.tries:
            tried_at = organization.created_at + dt.timedelta(days=3)
            subscriptions.change_plan(organization, neighbor.tries, by=BY, with_trial=True, at=tried_at)
        if neighbor.plan == "prepaid":
            wallets.purchase(
                organization, 60 * NANOS_PER_USD, "demo:1", by=BY, at=organization.created_at, note="Card ending 4242"
            )
            wallets.grant(
                organization, 10 * NANOS_PER_USD, "demo:2", by=BY, at=organization.created_at,
                expires_at=current_time() + dt.timedelta(days=30), note="Welcome",
            )  # fmt: skip
            wallets.set_rules(
                organization, low_below_nanos=5 * NANOS_PER_USD, top_up_below_nanos=None, top_up_nanos=None, by=BY
            )
        with organization_scope(organization.pk):
            for person in people[1:]:
                Membership.objects.create(organization=organization, user=person, role=Role.MEMBER)
            for workload in WORKLOADS:
                if workload.project in neighbor.projects:
                    project = teams.create_project(organization, workload.project, by=BY)
                    keys.create_key(organization, workload.key, [Scope.USAGE_WRITE], by=BY, project=project)


def write_history(progress: Callable[[float], None]) -> int:
    """Some weeks of usage each. Returns the number of events."""
    with unscoped("the demo writes the history of its organizations"):
        found = {row.name: row for row in Organization.objects.filter(name__in=[one.name for one in NEIGHBORS])}
    book, now, written = PriceBook.load(), current_time(), 0
    for number, one in enumerate(NEIGHBORS):
        written += write_usage(found[one.name], book, now, one.days, one.scale, set(one.projects), lambda _: None)
        progress((number + 1) / len(NEIGHBORS))
    return written
