"""However much there is, a page asks the database as often: every page, with a few rows of each kind and with many.

Cheaper with more is fine, and so are two queries that a first row brings; what grows with rows is not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.utils.timezone import now

from accounts.audit import Actor
from accounts.members import invite
from accounts.models import Department, Membership, Organization, Project, Role, Team, TeamMembership, User
from alerts.chat.rooms import create_room
from alerts.models import Webhook
from alerts.webhooks import records as webhooks
from alerts.webhooks.outbox import send_test
from billing.budgets.reach import Reach
from billing.budgets.records import create_budget
from billing.credits.wallets import adjust, grant
from billing.parties.seller import add_rate
from billing.plans import SEEDS, create_plan
from billing.reconciliation.records import keep
from billing.subscriptions import start_subscription
from billing.suspending import let_calls_in, suspend_calls
from core.tenancy import organization_scope, unscoped
from metering.events import Usage
from metering.gateway.upstreams import create_upstream
from metering.imports.records import create_import
from metering.models import ImportProblem, ImportStatus
from metering.pricing.overrides import rate, set_custom_model
from metering.query.gpus import Gpus
from reports.models import KeptComparison, MonthlyReport, SavedView
from reports.monthly.month import Month
from tests.alerts.notices.telling import happen
from tests.alerts.rules.usage import open_alert
from tests.alerts.rules.usage import rule as make_rule
from tests.billing.invoices.selling import issue
from tests.browser.pages import NAMES, addresses
from tests.cast import logged_in, make_key, make_member
from tests.metering.query.usage import make_event
from tests.queries import Counter
from tests.reports.advice.making import make_insight
from tests.reports.custom.kept import keep_report
from tests.reports.kept import kept_figures
from tests.reports.priced import set_prices, write_priced

FEW, MANY = range(3), range(3, 15)
# A secret, and what only appears in a state that has nothing to do with how many rows there are.
NOT_REACHED = frozenset(
    {
        "accounts:invitation",
        "alerts:unsubscribe",
        "metering:import-problems",
        "reports:diagnosis-report",
        "reports:comparison-keep",
        # The demo's and developers' alone.
        "alerts:mailbox",
        "alerts:mail",
        "alerts:mail-body",
    }
)
BY = Actor.of_command("test")


@pytest.fixture
def more(acme: Organization, alice: User) -> Callable[[range], None]:
    """Makes so many more of everything an organization can have."""
    set_prices()
    start_subscription(acme, "enterprise", by=BY, at=now() - dt.timedelta(days=9))
    # Whether something is unusual has nothing to do with how much there is: a new model always is.
    hours_ago = (("before", 50 * 24, "gpt-4o"), ("since", 5, "another-model"))
    write_priced(acme.pk, [make_event(name, now() - dt.timedelta(hours=n), model) for name, n, model in hours_ago])

    def make(numbers: range) -> None:
        for number in numbers:
            _people_and_things(acme, number)
        write_priced(acme.pk, [event for number in numbers for event in _calls(number)])

    return make


def _people_and_things(acme: Organization, number: int) -> None:
    person = make_member(acme, f"person{number}", Role.MEMBER)
    with organization_scope(acme.pk):
        department = Department.objects.create(organization=acme, name=f"Department {number}", cost_center=f"C{number}")
        team = Team.objects.create(
            organization=acme, name=f"Team {number}", slug=f"team-{number}", department=department
        )
        membership = Membership.objects.get(user=person)
        owner = Membership.objects.get(role=Role.OWNER)
        # One team with many people, too.
        for joined in {team, Team.objects.order_by("pk")[0]}:
            TeamMembership.objects.create(organization=acme, team=joined, membership=membership)
        project = Project.objects.create(
            organization=acme, name=f"Project {number}", slug=f"project-{number}", team=team
        )
        invite(acme, f"guest{number}@acme.test", Role.MEMBER, by=BY, team=team)
        record = create_import(acme, f"file-{number}.csv", 100, by=BY, status=ImportStatus.FINISHED)
        ImportProblem.objects.bulk_create(
            ImportProblem(organization=acme, usage_import=record, row=row, code="invalid", message="Not a number.")
            for row in range(number + 1)
        )
        SavedView.objects.create(
            organization=acme, owner=owner, name=f"View {number}", page="usage", parameters={"model": ["gpt-4o"]}
        )
        KeptComparison.objects.create(
            organization=acme, kept_by=owner, name=f"Comparison {number}", starts_at=now() - dt.timedelta(days=9),
            ends_at=now(), timezone=acme.timezone, figures=kept_figures(number + 1), gpus=Gpus.read({}).written(),
        )  # fmt: skip
        MonthlyReport.objects.create(
            organization=acme, scope="organization", label=acme.name, month=Month.at(now(), acme.zone).before.first,
            revision=number, timezone=acme.timezone, made_at=now(), content=b"%PDF",
        )  # fmt: skip
        keep_report(owner, number, is_shared=bool(number % 2))
        create_upstream(
            acme, by=BY, name=f"Upstream {number}", protocol="openai", base_url=f"https://models{number}.invalid/v1"
        )
        create_budget(acme, {"scope": "team", "ref": team.pk, "amount": 10**9}, Reach.whole(), by=BY)
        rule = make_rule(acme, "per_model", now(), scope="team", ref=team.pk)
        open_alert(rule, number + 1)
        make_insight(acme, f"Advice {number}", pieces=number + 1)
        export = f"usage_date_utc,model,cost_usd\n2026-11-01,model-{number},1\n"
        keep(acme, f"export-{number}.csv", export.encode(), Decimal(1), by=BY)
        webhooks.create(acme, {"url": f"https://hooks.example.com/{number}", "events": ["*"]}, by=BY)
        # One with many messages, too.
        for told in Webhook.objects.order_by("pk"):
            send_test(told, by=BY)
        address = f"https://hooks.example.com/services/{number}"
        create_room(acme, address, {"name": f"#room-{number}", "dialect": "slack", "kinds": ["credits.low"]}, by=BY)
    happen(acme, "credits.low", f"told-{number}")
    # The second takes from the first.
    grant(acme, 5 * 10**9, f"gift {number}", by=BY, note=f"Gift {number}")
    adjust(acme, -(10**9), f"correction {number}", by=BY, note="Counted twice")
    _plans_and_their_subscribers(acme, number)
    add_rate("NO", f"R{number}", "MVA", Decimal(25), dt.date(2026, 1, 1), by="test")
    issue(acme, f"Plan {number}", f"INV-2026-9{number:03}")
    make_key(acme, name=f"Key {number}", project=project)
    set_custom_model(
        BY, acme.pk, model=f"model-{number}", rates=[rate("input", Decimal(2))], valid_from=now() - dt.timedelta(days=9)
    )


def _plans_and_their_subscribers(acme: Organization, number: int) -> None:
    create_plan(f"plan-{number}", SEEDS["startup"], by_label="test")
    with unscoped("other tenants of the installation"):
        other = Organization.objects.create(name=f"Neighbor {number}", slug=f"neighbor-{number}", timezone="Asia/Tokyo")
    start_subscription(other, f"plan-{number}", by=BY)
    suspend_calls(acme, f"Reason {number}", by=BY)
    let_calls_in(acme, by=BY)


def _calls(number: int) -> list:
    """Of one conversation that grows, of one of its own, one that failed, one of long ago, and one by voice."""
    told = {
        "user": f"person{number}@acme.test", "project": f"project-{number}", "provider": f"provider-{number}",
        "endpoint": f"/v1/endpoint-{number}", "feature": f"feature {number}", "tool": f"tool-{number}",
        "integration": f"integration-{number}", "end_user": f"customer-{number}", "tags": {f"tag{number}": "yes"},
        "detail": {"error_code": f"reason-{number}", "input_parts": {"message": 100, "files": 900},
                   "files": [{"id": f"file-{number}", "name": f"File {number}.pdf", "size_bytes": 900, "tokens": 90}]},
        "raw_usage": {"prompt_tokens": 1000}, "duration_ms": 900 + number,
    }  # fmt: skip
    at, usage = now() - dt.timedelta(minutes=20 + number), Usage(input=1000 + number, output=100)
    return [
        make_event(f"shared-{number}", at, usage=usage, chat="shared", message=f"m{number}", **told),
        make_event(
            f"own-{number}", at, f"model-{number}", usage, chat_title=f"Chat {number}", chat=f"chat-{number}", **told
        ),
        make_event(f"failed-{number}", at, usage=None, status="error", **told),
        make_event(f"old-{number}", at - dt.timedelta(days=40, minutes=number), usage=usage, **told),
        make_event(f"voice-{number}", at, usage=Usage(audio_input=100, audio_output=50), **told),
    ]


def counted(client: Client, path: str, enough: int = 0) -> int:
    """Queries of a later visit: what the first finds out stays known, and only now and then one notes who was here.

    No third visit is made where the second asked no more often than `enough`.
    """
    numbers: list[int] = []
    while len(numbers) < 2 or (len(numbers) < 3 and numbers[-1] > enough):
        counter = Counter()
        with connection.execute_wrapper(counter):
            answer = client.get(path)
            for _part in answer.streaming_content if answer.streaming else ():
                pass
        assert answer.status_code < 400, path
        numbers.append(counter.number)
    return min(numbers[1:])


def html_at(client: Client) -> Callable[[str], str]:
    def fetch(path: str) -> str:
        answer = client.get(path)
        if answer.status_code == 302:
            return f'<a href="{answer["location"]}">'
        is_page = answer.status_code == 200 and answer.headers.get("content-type", "").startswith("text/html")
        return answer.content.decode() if is_page and not answer.streaming else ""

    return fetch


def test_no_page_asks_more_often_when_there_is_more(
    more: Callable[[range], None], acme: Organization, alice: User, olga: User
) -> None:
    more(FEW)
    owner, operator = logged_in(alice), logged_in(olga)
    found = {name: (operator, path) for name, path in addresses(html_at(operator), "/operator/").items()}
    found |= {name: (owner, path) for name, path in addresses(html_at(owner), f"/o/{acme.slug}/overview").items()}
    for secret in ("accounts:invitation", "alerts:unsubscribe"):
        found.pop(secret)
    missing = sorted({*NAMES} - {*found} - NOT_REACHED)
    assert not missing, f"nothing leads to {', '.join(missing)}"
    # Asked whether anything is new, the page says less when nothing is.
    client, path = found["reports:connect-live"]
    found["reports:connect-live"] = (client, path.partition("?")[0])
    few = {name: counted(client, path) for name, (client, path) in found.items()}
    more(MANY)
    many = {name: counted(client, path, few[name]) for name, (client, path) in found.items()}
    grown = {name: f"{few[name]} → {many[name]}" for name in few if many[name] > few[name]}
    assert not grown
