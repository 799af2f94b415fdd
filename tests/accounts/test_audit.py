"""The audit log: what is written, how it is filtered, that its export is harmless."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client, RequestFactory

from accounts import audit
from accounts.audit import Actor
from accounts.audit_log import harmless
from accounts.forms.keys import AUDITED
from accounts.models import AuditEntry, Organization, Role, User
from core.tenancy import organization_scope

PAGE = "/o/acme/settings/audit/"
ROOT = Path(__file__).resolve().parents[2]


def write(organization: Organization, action: str, label: str = "", actor: str = "alice@acme.test") -> AuditEntry:
    with organization_scope(organization.id):
        return audit.record(Actor(actor, Role.OWNER), action, organization, label=label or organization.name)


def export(client: Client, query: str = "") -> list[dict[str, str]]:
    response: Any = client.get(f"{PAGE}export/{query}")
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_a_page_leaves_who_when_and_from_where(acme: Organization, alice: User, alice_client: Client) -> None:
    headers = {"x-request-id": "given-request-id"}
    body = {"name": "Sales"}
    alice_client.post("/o/acme/settings/departments/new/", body, headers=headers, REMOTE_ADDR="203.0.113.7")
    with organization_scope(acme.id):
        entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_label, entry.action) == (alice, "alice@acme.test", "department.create")
    assert (entry.ip_address, entry.request_id) == ("203.0.113.7", "given-request-id")
    assert (entry.target, entry.target_label, entry.changes) == ("department", "Sales", {"name": [None, "Sales"]})


@pytest.mark.parametrize(
    ("address", "expected"), [("203.0.113.7", "203.0.113.7"), ("::1", "::1"), ("", None), ("unix", None)]
)
def test_the_address_is_the_peers(address: str, expected: str | None) -> None:
    assert audit.ip_address_of(RequestFactory().get("/", REMOTE_ADDR=address)) == expected


def test_a_refused_change_leaves_nothing(acme: Organization, alice_client: Client) -> None:
    alice_client.post("/o/acme/leave/")
    alice_client.post("/o/acme/settings/departments/new/", {"name": ""})
    with organization_scope(acme.id):
        assert not AuditEntry.objects.exists()


def test_filters(acme: Organization, adam_client: Client, acme_api: Client) -> None:
    write(acme, "key.revoke", actor="bob@acme.test")
    old = write(acme, "key.create")
    write(acme, "member.invite")

    def shown(query: str) -> set[str]:
        assert adam_client.get(f"{PAGE}{query}").status_code == 200
        by_api = {row["action"] for row in acme_api.get(f"/v1/audit{query}").json()["data"]}
        assert {row["action"] for row in export(adam_client, query)} == by_api
        return by_api

    assert shown("") == {"key.revoke", "key.create", "member.invite"}
    assert shown("?action=key") == {"key.revoke", "key.create"}
    assert shown("?action=key.create") == {"key.create"}
    assert shown("?actor=BOB") == {"key.revoke"}
    day = old.at.astimezone(acme.zone).date().isoformat()
    assert len(shown(f"?from={day}&to={day}")) == 3
    assert shown("?to=2020-01-01") == set()
    assert shown("?from=2099-01-01T00:00:00Z") == set()
    assert b"Nothing matches" in adam_client.get(f"{PAGE}?to=2020-01-01").content


@pytest.mark.parametrize("query", ["from=yesterday", "to=2026-13-01", "from=9999-99-99", "to=0001-01-01T99:00:00Z"])
def test_wrong_dates_are_refused(adam_client: Client, acme_api: Client, query: str) -> None:
    page = adam_client.get(f"{PAGE}?{query}")
    assert page.status_code == 422
    assert b"_error" in page.content
    assert adam_client.get(f"{PAGE}export/?{query}").status_code == 422
    assert acme_api.get(f"/v1/audit?{query}").status_code == 422


def test_long_logs_are_paged_and_exported_whole(
    acme: Organization, adam_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.audit_log.CHUNK", 7)
    for number in range(60):
        write(acme, "test.write", f"entry {number:02}")
    first = adam_client.get(PAGE)
    assert first.content.count(b"test.write") == 50
    older = adam_client.get(f"{PAGE}?cursor={first.context['next'].removeprefix('cursor=')}")
    assert older.content.count(b"test.write") == 10
    labels = [row["target_label"] for row in export(adam_client)]
    assert labels == [f"entry {number:02}" for number in reversed(range(60))]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(acme: Organization, adam_client: Client, start: str) -> None:
    write(acme, "test.write", f"{start}HYPERLINK(1)", actor=f"{start}x")
    row = export(adam_client)[0]
    assert row["target_label"] == f"'{start}HYPERLINK(1)"
    assert row["actor"] == f"'{start}x"
    assert harmless("a=b") == "a=b"


def test_an_empty_log_says_so(adam_client: Client) -> None:
    assert b"Nothing happened yet" in adam_client.get(PAGE).content


def test_nothing_secret_is_written_down(acme: Organization, adam_client: Client) -> None:
    response: Any = adam_client.post("/o/acme/settings/keys/new/", {"name": "prod", "scopes": ["gateway"]})
    secret = response.context["secret"]
    text = str(export(adam_client))
    assert secret not in text
    assert "digest" not in text


def test_everything_that_happens_to_money_can_be_filtered(acme: Organization, adam_client: Client) -> None:
    written = "".join(path.read_text() for path in (ROOT / "billing").rglob("*.py"))
    actions = set(re.findall(r'audit\.(?:record|change|record_of_all)\(\s*\w+,\s*f?"([a-z_]+\.[a-z_]*)', written))
    assert {"budget.create", "invoice.void", "plan.change", "subscription.", "suspension.begin"} <= actions
    offered = [value for _, group in AUDITED[1:] for value, _ in group]
    assert not [one for one in actions if not any(one.startswith(f"{value}.") for value in offered)]
    write(acme, "invoice.payment", "INV-1")
    write(acme, "invoice.void", "INV-2")
    for chosen, seen in (("invoice", ["INV-1", "INV-2"]), ("invoice.payment", ["INV-1"]), ("budget", [])):
        page = adam_client.get(f"{PAGE}?action={chosen}").content.decode()
        assert f'<option value="{chosen}" selected>' in page
        assert [label for label in ("INV-1", "INV-2") if f">{label}<" in page] == seen
