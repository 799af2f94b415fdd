"""A proof finds nothing where all is right, and an error planted anywhere."""

from __future__ import annotations

import datetime as dt
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.audit import Actor
from accounts.models import Organization
from accounts.organizations import update_organization
from core.tenancy import organization_scope
from metering.models import Proof
from metering.prove import months_with_usage, prove_month
from metering.rebuilding import follow_zone, rebuild_rollups
from tests.metering.proofs.conftest import execute

UTC = dt.UTC
NOVEMBER = dt.date(2026, 11, 1)


def proof_of(organization: Organization):
    proof = prove_month(organization.id, NOVEMBER)
    assert proof is not None
    return proof


def failing(organization: Organization) -> dict[str, int]:
    return {check.name: check.difference_count for check in proof_of(organization).checks if not check.is_proved}


def test_what_is_right_is_proved(acme: Organization, globex: Organization, usage: None) -> None:
    proof = proof_of(acme)
    assert failing(acme) == {}
    assert proof.is_proved
    # 60 with one corrected, and four beside them; December's first instant is December's.
    assert proof.figures.requests == 64
    assert {check.name: check.compared for check in proof.checks}["keys"] == 65
    assert failing(globex) == {}
    assert months_with_usage(acme.id) == [NOVEMBER, dt.date(2026, 12, 1)]


PLANTED = [
    (
        "UPDATE metering_event SET output = output + 1 WHERE event_id = 'e7'",
        {"receipts", "hours", "days", "chats", "rates", "queries"},
    ),
    (
        "UPDATE metering_event SET cost_nanos = cost_nanos + 1 WHERE event_id = 'e7'",
        {"receipts", "hours", "days", "chats", "rates", "queries"},
    ),
    ("UPDATE metering_event SET price_version_id = 999999 WHERE event_id = 'e7'", {"receipts", "rates"}),
    ("UPDATE metering_event SET cost_nanos = 0 WHERE event_id = 'odd'", {"receipts"}),
    ("UPDATE metering_event SET event_id = 'other' WHERE event_id = 'e7'", {"keys"}),
    (
        "UPDATE metering_event SET occurred_at = occurred_at + interval '1 hour' WHERE event_id = 'e7'",
        {"keys", "hours"},
    ),
    (
        "UPDATE metering_event SET superseded_by = NULL WHERE event_id = 'e1'",
        {"hours", "days", "chats", "latencies", "rates", "queries"},
    ),
    (
        "DELETE FROM metering_event WHERE event_id = 'e7'",
        {"keys", "hours", "days", "chats", "latencies", "rates", "queries"},
    ),
    ("DELETE FROM metering_event_key WHERE key = (SELECT key FROM metering_event WHERE event_id = 'e7')", {"keys"}),
    ("UPDATE metering_usage_rate SET above_tokens = 32000 WHERE day = '2026-11-05'", {"rates"}),
    (
        "UPDATE metering_usage_hour SET output = output - 1 WHERE hour = '2026-11-01T06:00Z'",
        {"hours"},
    ),
    (
        "DELETE FROM metering_usage_hour WHERE hour = '2026-11-01T13:00Z'",
        {"hours"},
    ),
    (
        "UPDATE metering_usage_day SET requests = requests + 1 WHERE kind = 0 AND day = '2026-11-05'",
        {"days", "queries"},
    ),
    (
        "UPDATE metering_usage_day SET cost_nanos = cost_nanos + 1 WHERE kind = 1 AND day = '2026-11-05'",
        {"days", "queries"},
    ),
    ("UPDATE metering_usage_day SET ref = 77 WHERE kind = 4 AND ref <> 0", {"days"}),
    ("DELETE FROM metering_usage_day WHERE kind = 7 AND day = '2026-11-05'", {"days", "queries"}),
    ("UPDATE metering_usage_chat SET input = 0 WHERE chat = 'c2'", {"chats", "queries"}),
    ("UPDATE metering_usage_chat SET title = 'Another' WHERE chat = 'c2'", {"chats"}),
    ("UPDATE metering_usage_chat SET last_at = last_at + interval '1 second' WHERE chat = 'c2'", {"chats"}),
    ("DELETE FROM metering_usage_chat WHERE chat = 'c2'", {"chats", "queries"}),
    (
        "UPDATE metering_usage_file SET file_cost_nanos = file_cost_nanos + 1 WHERE file = 'f1' AND chat = 'c0'",
        {"files"},
    ),
    ("UPDATE metering_usage_file SET requests = requests + 1 WHERE file = ''", {"files"}),
    ("DELETE FROM metering_usage_file WHERE file = 'f1' AND chat = 'c2'", {"files"}),
    (
        "DELETE FROM metering_usage_latency WHERE day = '2026-11-05' AND durations > 0 AND integration_id = 0",
        {"latencies"},
    ),
]


@pytest.mark.parametrize(("sql", "where"), PLANTED)
def test_a_planted_error_is_found(
    acme: Organization, globex: Organization, usage: None, sql: str, where: set[str]
) -> None:
    assert execute(sql, acme) == 1
    found = failing(acme)
    assert where <= set(found), found
    assert set(found) <= where | {"queries", "export", "api"}, found
    assert failing(globex) == {}


def test_rows_that_are_too_many_are_found(acme: Organization, usage: None) -> None:
    with organization_scope(acme.id), connection.cursor() as cursor:
        for table, column, value in (
            ("metering_usage_hour", "project_id", "4711"),
            ("metering_usage_day", "ref", "4711"),
            ("metering_usage_chat", "chat", "'ghost'"),
            ("metering_usage_file", "file", "'ghost'"),
            ("metering_usage_latency", "bucket", "200"),
        ):
            cursor.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position",
                [table],
            )
            columns = [name for (name,) in cursor]
            chosen = ", ".join(value if name == column else name for name in columns)
            cursor.execute(
                f"INSERT INTO {table} SELECT {chosen} FROM {table} WHERE organization_id = {acme.id} LIMIT 1"
            )
        cursor.execute(
            "INSERT INTO metering_event_key SELECT organization_id, gen_random_uuid(), body_hash, occurred_at"
            " FROM metering_event_key LIMIT 1"
        )
    found = failing(acme)
    assert {"hours": 1, "days": 1, "chats": 1, "files": 1, "latencies": 1, "keys": 1}.items() <= found.items()


def test_a_difference_says_exactly_where(acme: Organization, usage: None) -> None:
    execute("UPDATE metering_usage_day SET output = output + 5 WHERE kind = 1 AND day = '2026-11-05'", acme)
    days = next(check for check in proof_of(acme).checks if check.name == "days")
    (difference,) = days.differences
    assert difference.where == "day 2026-11-05, model gpt-4o"
    assert difference.field == "output"
    assert int(difference.found or 0) - int(difference.expected or 0) == 5


def test_another_apps_check_is_run_too(acme: Organization, usage: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from metering import proofs

    monkeypatch.setattr(proofs, "CHECKS", proofs.CHECKS)
    monkeypatch.setitem(proofs.CHECKS, "lines", "metering.proofs.events.check")
    assert len(proof_of(acme).checks) == len(proofs.CHECKS)


# ── Commands ──


def prove(*arguments: str) -> str:
    out = StringIO()
    call_command("prove", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_command_proves_every_organization(acme: Organization, globex: Organization, usage: None) -> None:
    said = prove()
    assert "acme 2026-11 (Europe/Berlin): 64 events" in said
    assert "globex 2026-10" in said
    assert said.endswith("Difference 0.\n")
    with organization_scope(acme.id):
        kept = Proof.objects.get(month=NOVEMBER)
        assert (kept.is_proved, kept.events, kept.proved_by_label) == (True, 64, "command prove")


def test_the_command_fails_and_lists_what_differs(acme: Organization, usage: None) -> None:
    execute("UPDATE metering_usage_chat SET input = 0 WHERE chat = 'c2'", acme)
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("prove", "acme", "--period", "2026-11", "--json", stdout=out)
    assert ended.value.code == 1
    answer = json.loads(out.getvalue())
    assert answer["proved"] is False
    (month,) = answer["months"]
    chats = next(check for check in month["checks"] if check["name"] == "chats")
    assert chats["differences"][0]["where"] == "chat c2"
    assert chats["differences"][0]["found"] == "0"
    with organization_scope(acme.id):
        assert Proof.objects.get().is_proved is False


@pytest.mark.parametrize("arguments", [("nobody",), ("acme", "--period", "November")])
def test_the_command_refuses_what_there_is_not(acme: Organization, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        prove(*arguments)


def test_an_organization_without_usage_has_nothing_to_prove(acme: Organization) -> None:
    assert prove("acme") == "Difference 0.\n"
    assert prove_month(acme.id, NOVEMBER) is None


# ── Rebuilding ──


def test_a_rebuild_changes_nothing_that_was_right(acme: Organization, usage: None) -> None:
    rebuilt = rebuild_rollups(acme.id)
    assert (rebuilt.changed_rows, rebuilt.months) == (0, 2)
    assert failing(acme) == {}


def test_a_rebuild_mends_and_says_what_it_mended(acme: Organization, usage: None) -> None:
    execute("UPDATE metering_usage_day SET output = output + 5 WHERE kind = 1 AND day = '2026-11-05'", acme)
    execute("DELETE FROM metering_usage_chat WHERE chat = 'c2'", acme)
    changes = {table.table: (table.added, table.removed, table.changed) for table in rebuild_rollups(acme.id).tables}
    assert changes == {
        "metering_usage_hour": (0, 0, 0),
        "metering_usage_day": (0, 0, 1),
        "metering_usage_chat": (1, 0, 0),
        "metering_usage_file": (0, 0, 0),
        "metering_usage_latency": (0, 0, 0),
        "metering_usage_rate": (0, 0, 0),
    }
    assert failing(acme) == {}
    out = StringIO()
    call_command("rebuild_rollups", "acme", stdout=out)
    assert "acme (Europe/Berlin, 2 months): 0 rows changed" in out.getvalue()


def test_a_change_of_zone_is_followed(
    acme: Organization, usage: None, django_capture_on_commit_callbacks, monkeypatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr("metering.tasks.follow_zone.apply_async", lambda args, countdown: told.extend(args))
    with django_capture_on_commit_callbacks(execute=True), organization_scope(acme.id):
        update_organization(Organization.objects.get(), {"timezone": "Asia/Kathmandu"}, by=Actor.of_command("test"))
    assert told == [acme.id]
    assert follow_zone(acme.id) is not None
    assert follow_zone(acme.id) is None
    assert prove_month(acme.id, NOVEMBER).timezone == "Asia/Kathmandu"  # type: ignore[union-attr]
    assert failing(acme) == {}
