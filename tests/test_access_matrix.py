"""Every address, as every role: tests/access_matrix.py says what each must get."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils.timezone import now

from accounts import members
from accounts.audit import Actor
from accounts.models import Department, Invitation, Membership, Organization, Project, Team, TeamMembership, User
from alerts.chat.rooms import create_room
from alerts.webhooks import outbox, records
from billing.budgets.reach import Reach
from billing.budgets.records import create_budget
from billing.reconciliation.records import keep
from billing.subscriptions import start_subscription
from core.tenancy import organization_scope
from metering.gateway.upstreams import create_upstream
from metering.imports.records import create_import
from metering.query.gpus import Gpus
from reports.custom import results
from reports.models import CustomReport, Diagnosis, KeptComparison, MonthlyReport, ReportSchedule, SavedView, Symptom
from tests.access_matrix import OWN_ACCOUNT, ROWS, Endpoint, Row
from tests.alerts.rules.usage import open_alert
from tests.alerts.rules.usage import rule as make_rule
from tests.billing.invoices.selling import issue
from tests.cast import Key, logged_in, make_key
from tests.metering.query.usage import make_event, write
from tests.reports.advice.making import make_insight
from tests.reports.custom.making import wanted as result_wanted
from tests.reports.kept import kept_figures

CANARY = "ACMEONLY"
TOKEN = "canary-token"
# What shows nothing: the JSON 404 below /v1/, and allauth's redirects from its former addresses.
NOBODYS = ("core.error_answers.unknown_endpoint", "django.views.generic.base.RedirectView")


def named_patterns(resolver: URLResolver, namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from named_patterns(pattern, inner)
        else:
            yield f"{namespace}{pattern.name or ''}", pattern


def ours() -> dict[str, URLPattern]:
    return {
        name: pattern
        for name, pattern in named_patterns(get_resolver())
        if not name.startswith(OWN_ACCOUNT) and pattern.lookup_str not in NOBODYS
    }


def test_every_address_has_a_row() -> None:
    unnamed = [str(pattern.pattern) for name, pattern in ours().items() if not name or name.endswith(":")]
    assert not unnamed, "give these patterns a name"
    missing = sorted(set(ours()) - {row.name for row in ROWS})
    assert not missing, "add these to tests/access_matrix.py"


def test_every_row_has_an_address() -> None:
    assert not sorted({row.name for row in ROWS} - set(ours()))


@pytest.fixture
def arguments(acme: Organization, bob: User, alice: User) -> dict[str, Any]:
    """What the addresses name: one of each thing, Acme's, and called CANARY."""
    with organization_scope(acme.id):
        Organization.objects.update(name=f"{CANARY} Acme")
        bobs = Membership.objects.get(user=bob)
        department = Department.objects.create(organization=acme, name=f"{CANARY} department")
        team = Team.objects.create(organization=acme, name=f"{CANARY} team", slug="canary-team", department=department)
        project = Project.objects.create(organization=acme, name=f"{CANARY} project", slug="canary-project", team=team)
        place = TeamMembership.objects.create(organization=acme, team=team, membership=bobs)
        invitation = Invitation.objects.create(
            organization=acme,
            email="canary@acme.test",
            digest=members._digest(TOKEN),
            expires_at=now() + timedelta(days=1),
        )
        view = SavedView.objects.create(
            organization=acme, owner=bobs, name=f"{CANARY} view", page="usage", is_shared=True
        )
        diagnosis = Diagnosis.objects.create(
            organization=acme, asked_by=Membership.objects.get(user=alice), symptom=Symptom.COST,
            starts_at=now() - timedelta(days=1), ends_at=now(), filters={"model": [f"{CANARY}-model"]},
        )  # fmt: skip
        report = CustomReport.objects.create(organization=acme, owner=bobs, name=f"{CANARY} costs", is_shared=True)
        alices = Membership.objects.get(user=alice)
        schedule = ReportSchedule.objects.create(
            organization=acme, report=report, owner=alices, file_format="csv", frequency="weekly", cron="0 8 * * 1",
            receivers=[alices.pk], scope="organization", next_at=now() + timedelta(days=1),
        )  # fmt: skip
        monthly = MonthlyReport.objects.create(
            organization=acme, scope="organization", label=f"{CANARY} Acme", month="2026-05-01", revision=7,
            timezone=acme.timezone, made_at=now(), content=CANARY.encode(),
        )  # fmt: skip
        kept = KeptComparison.objects.create(
            organization=acme, kept_by=Membership.objects.get(user=alice), name=f"{CANARY} comparison",
            starts_at=now() - timedelta(days=1), ends_at=now(), timezone="UTC", figures=kept_figures(),
            gpus=Gpus.read({}).written(), filters={"model": [f"{CANARY}-model"]},
        )  # fmt: skip
        result = results.queued(acme, result_wanted(title=f"{CANARY} report"), None)
        result.save()
        upload = create_import(acme, f"{CANARY}.csv", 1, by=Actor.of_command("test"))
        upstream = create_upstream(
            acme,
            by=Actor.of_command("test"),
            name=f"{CANARY} upstream",
            protocol="openai",
            base_url="https://models.invalid/v1",
        )
        webhook, _ = records.create(
            acme, {"url": f"https://hooks.invalid/{CANARY}", "events": ["*"]}, by=Actor.of_command("test")
        )
        delivery = outbox.send_test(webhook, by=Actor.of_command("test"))
        channel = create_room(
            acme,
            "https://hooks.example.com/services/x",
            {"name": f"{CANARY} channel", "dialect": "slack", "kinds": ["credits.low"]},
            by=Actor.of_command("test"),
        )
        export = f"usage_date_utc,model,cost_usd\n2026-11-01,{CANARY}-model,1\n".encode()
        statement = keep(acme, f"{CANARY}.csv", export, Decimal(1), by=Actor.of_command("test"))
    start_subscription(acme, "enterprise", by=Actor.of_command("test"))
    invoice = issue(acme, f"{CANARY} plan")
    values = {"name": f"{CANARY} budget", "scope": "team", "ref": team.pk, "amount": 10**9}
    budget = create_budget(acme, values, Reach.whole(), by=Actor.of_command("test"))
    rule = make_rule(acme, "daily_limit", now(), name=f"{CANARY} rule", scope="team", ref=team.pk)
    with organization_scope(acme.id):
        alert = open_alert(rule)
        insight = make_insight(acme, f"{CANARY} model")
    write(
        acme.id,
        [
            make_event(
                "canary",
                now() - timedelta(hours=1),
                model=f"{CANARY}-model",
                project="canary-project",
                chat="canary",
                chat_title=f"{CANARY} chat",
                detail={"files": [{"id": "canary/file", "name": f"{CANARY}.pdf"}]},
            )
        ],
    )
    return {
        "organization": acme.slug,
        "member": bobs.pk,
        "department": department.pk,
        "report": report.pk,
        "schedule": schedule.pk,
        "result": result.pk,
        "channel": channel.pk,
        "webhook": webhook.pk,
        "delivery": delivery.pk,
        "team": team.pk,
        "project": project.pk,
        "place": place.pk,
        "invitation": invitation.pk,
        "key": make_key(acme, name=f"{CANARY} key").row.pk,
        "token": TOKEN,
        "record": upload.pk,
        "upstream": upstream.pk,
        "budget": budget.pk,
        "rule": rule.pk,
        "alert": alert.pk,
        "insight": insight.pk,
        "view": view.pk,
        "diagnosis": diagnosis.pk,
        "comparison": kept.pk,
        "monthly": monthly.pk,
        "number": invoice.number,
        "statement": statement.pk,
    }


@pytest.fixture
def callers(
    acme: Organization, alice: User, adam: User, fiona: User, bob: User, vera: User, charlie: User,
    acme_key: Key, globex_key: Key,
) -> dict[str, Client]:  # fmt: skip
    return {
        "anonymous": Client(),
        "stranger": logged_in(charlie),
        "viewer": logged_in(vera),
        "member": logged_in(bob),
        "finance": logged_in(fiona),
        "admin": logged_in(adam),
        "owner": logged_in(alice),
        "foreign_key": globex_key.client,
        "own_key": acme_key.client,
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.name}")
def test_access(row: Row, arguments: dict[str, Any], callers: dict[str, Client], acme: Organization) -> None:
    pattern = ours()[row.name]
    kwargs = {name: row.args.get(name, arguments.get(name)) for name in _argument_names(pattern, row.name)}
    address = reverse(row.name, kwargs=kwargs)
    callers["weak_key"] = make_key(acme, _scopes_without(row)).client
    got: dict[str, int] = {}
    for role in row.expected():
        if role == "weak_key" and isinstance(row, Endpoint) and row.scope is None:
            got[role] = 403
            continue
        with transaction.atomic():
            response = callers[role].generic(row.method, address, *_body(row))
            content = b"".join(response.streaming_content) if response.streaming else response.content
            transaction.set_rollback(True)
        got[role] = response.status_code
        if role in ("stranger", "foreign_key") and row.name != "accounts:invitation":
            assert CANARY.encode() not in content.upper(), f"{role} reads Acme's names"
        if isinstance(row, Endpoint) and response.status_code >= 400:
            assert response.headers["content-type"] == "application/json"
    assert got == row.expected()


def test_no_endpoint_takes_a_parameter_it_does_not_know(arguments: dict[str, Any], acme_key: Key) -> None:
    answers = {}
    for row in ROWS:
        if isinstance(row, Endpoint) and row.method == "GET":
            names = _argument_names(ours()[row.name], row.name)
            address = reverse(row.name, kwargs={name: row.args.get(name, arguments.get(name)) for name in names})
            error = acme_key.client.get(f"{address}?limti=5").json().get("error", {})
            answers[row.name] = (error.get("code"), error.get("param"))
    assert answers == dict.fromkeys(answers, ("unknown_parameter", "limti"))


def _body(row: Row) -> tuple[Any, ...]:
    if isinstance(row, Endpoint) and row.method not in ("GET", "DELETE"):
        import json

        return (json.dumps(dict(row.data)), "application/json")
    return ()


def _scopes_without(row: Row) -> list[str]:
    """A key that may something else."""
    needed = row.scope if isinstance(row, Endpoint) else "admin"
    return ["usage:write" if needed != "usage:write" else "gateway"]


def _argument_names(pattern: URLPattern, name: str) -> set[str]:
    """Names of all the address's arguments, also those of the patterns around it."""
    resolver = get_resolver()
    *namespaces, short = name.split(":")
    for namespace in namespaces:
        _, resolver = resolver.namespace_dict[namespace]
    possibilities = resolver.reverse_dict.getlist(short) if namespaces else get_resolver().reverse_dict.getlist(short)
    return set(possibilities[0][0][0][1]) if possibilities else set(pattern.pattern.converters)
