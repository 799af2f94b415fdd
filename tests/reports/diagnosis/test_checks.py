"""Each fault is planted and named; a healthy organization gets a clean bill."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection
from django.utils.timezone import now

from accounts import keys, organizations, teams
from accounts.audit import Actor
from accounts.models import APIKey, Organization, Project, Team, TeamMembership, User
from core.tenancy import organization_scope
from metering.events import UsageEvent
from metering.models import Hold, ImportStatus, PriceKind, PriceRate, PriceVersion, Refusal, UsageImport
from metering.pipeline import Sender
from reports.models import Symptom
from tests.cast import make_key, membership_of
from tests.metering.query.usage import make_event, write
from tests.reports.diagnosis.asked import found, states
from tests.reports.priced import set_prices, write_priced

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
BY = Actor.of_command("test")


@pytest.fixture
def alices_team(acme: Organization, alice: User, search: Team) -> Team:
    with organization_scope(acme.pk):
        place = TeamMembership.objects.create(organization=acme, team=search, membership=membership_of(alice, acme))
        TeamMembership.objects.filter(pk=place.pk).update(created_at=now() - 90 * DAY)
    return search


def calls(user: User, hours: Sequence[int], name: str = "e", **fields: Any) -> list[UsageEvent]:
    """One call each of these hours ago."""
    told: dict[str, Any] = {"provider": "openai", "user": user.email, **fields}
    return [make_event(f"{name}{hour}", now() - hour * HOUR, **told) for hour in hours]


def sent_by(acme: Organization, key: APIKey, events: Sequence[UsageEvent]) -> None:
    write(acme.pk, events, Sender(api_key_id=key.pk))


@pytest.fixture
def healthy(acme: Organization, alice: User, alices_team: Team) -> None:
    set_prices()
    events = calls(alice, range(40), integration="crm")
    write_priced(acme.pk, [event for event in events if event.usage])
    with organization_scope(acme.pk), connection.cursor() as cursor:
        # They came when they happened.
        cursor.execute("UPDATE metering_event SET received_at = occurred_at")


# ── Nothing is wrong ──


@pytest.mark.parametrize("symptom", list(Symptom))
def test_a_healthy_organization_gets_a_clean_bill(acme: Organization, healthy: None, symptom: Symptom) -> None:
    findings = found(acme, symptom)
    # Nothing was imported, and this usage came without a key.
    assert {name: state for name, state in states(findings).items() if state != "unjudged"} == {}
    assert set(states(findings)) <= {"imports", "quiet_keys"}
    assert all(finding.looked_at and finding.found for finding in findings.values())


@pytest.mark.parametrize("symptom", list(Symptom))
def test_without_usage_nothing_is_wrong(acme: Organization, alice: User, symptom: Symptom) -> None:
    assert set(states(found(acme, symptom)).values()) <= {"unjudged"}


# ── Usage is missing ──


def test_a_key_that_fell_silent(acme: Organization, alice: User, healthy: None) -> None:
    quiet, rare = make_key(acme, name="Quiet").row, make_key(acme, name="Nightly").row
    sent_by(acme, quiet, calls(alice, range(30, 60), "q"))
    sent_by(acme, rare, calls(alice, range(20, 24 * 14 + 20, 24), "r"))
    findings = found(acme, Symptom.MISSING)
    assert states(findings)["quiet_keys"] == "cause"
    (row,) = findings["quiet_keys"].rows
    assert row.text == "Quiet"
    assert row.detail.startswith(("silent for 29 hours", "silent for 30 hours"))
    assert f"api_key={quiet.prefix}" in row.url


def test_a_model_that_does_not_occur_is_said_so(acme: Organization, alice: User, healthy: None) -> None:
    write(acme.pk, calls(alice, (24 * 60,), "old", model="retired"))
    findings = found(acme, Symptom.MISSING, model=["gpt-40"])
    chosen = next(iter(findings.values()))
    assert (chosen.check, chosen.state) == ("chosen_usage", "cause")
    assert "there is none before it either" in chosen.found
    assert [row.text for row in chosen.rows] == ["gpt-4o"]
    for name in ("quiet_keys", "quiet_integrations", "imports"):
        assert findings[name].state == "unjudged", name
    for name in ("refused", "ended_keys", "imports", "waiting_calls"):
        assert "Whatever the model" in findings[name].looked_at, name
    assert "the last is of" in found(acme, Symptom.MISSING, model=["retired"])["chosen_usage"].found
    assert found(acme, Symptom.MISSING, model=["gpt-4o"])["chosen_usage"].state == "fine"


def test_keys_that_sent_nothing_for_long_or_never(acme: Organization, alice: User, healthy: None) -> None:
    long_ago, never = make_key(acme, name="Long ago").row, make_key(acme, name="Never").row
    sent_by(acme, long_ago, calls(alice, (24 * 40,), "l"))
    finding = found(acme, Symptom.MISSING)["quiet_keys"]
    assert finding.state == "told"
    assert [row.text for row in finding.rows] == [f"Long ago ({long_ago.prefix}…)", f"Never ({never.prefix}…)"]
    chosen = found(acme, Symptom.MISSING, api_key=[long_ago.prefix])["chosen_usage"]
    assert (chosen.state, "the last is of" in chosen.found) == ("cause", True)


def test_an_integration_that_fell_silent(acme: Organization, alice: User, healthy: None) -> None:
    write(acme.pk, calls(alice, range(24 * 5, 24 * 13, 12), "i", integration="helpdesk"))
    finding = found(acme, Symptom.MISSING)["quiet_integrations"]
    assert [row.text for row in finding.rows] == ["helpdesk"]


def test_what_was_refused(acme: Organization, alice: User, bob: User, healthy: None) -> None:
    key = make_key(acme, name="Old").row
    with organization_scope(acme.pk):
        for days, count in ((0, 3), (1, 4), (40, 100)):
            at = now() - days * DAY
            Refusal.objects.create(
                organization=acme, api_key_id=key.pk, day=at.astimezone(dt.UTC).date(), code="revoked_api_key",
                count=count, last_at=at, message="This API key has been revoked.",
            )  # fmt: skip
    finding = found(acme, Symptom.MISSING)["refused"]
    assert finding.state == "cause"
    (row,) = finding.rows
    assert row.text == f"Old ({key.prefix}…): revoked_api_key, 7 times"
    with organization_scope(acme.pk):
        bobs = membership_of(bob, acme).pk
    assert found(acme, Symptom.MISSING, is_own=True, member=[bobs])["refused"].state == "fine"


def test_a_key_that_ended_in_use(acme: Organization, alice: User, healthy: None) -> None:
    used, unused = make_key(acme, name="Used").row, make_key(acme, name="Unused").row
    with organization_scope(acme.pk):
        APIKey.objects.filter(pk=used.pk).update(last_used_at=now() - HOUR)
        for key in (used, unused):
            keys.revoke_key(APIKey.objects.get(pk=key.pk), by=BY)
    finding = found(acme, Symptom.MISSING)["ended_keys"]
    assert [row.text for row in finding.rows] == [f"Used ({used.prefix}…)"]


def test_imports_that_left_something_out(acme: Organization, alice: User, healthy: None) -> None:
    common: dict[str, Any] = {"organization": acme, "size_bytes": 1, "file_format": "csv"}
    with organization_scope(acme.pk):
        for name, status, tally in (
            ("fine.csv", ImportStatus.FINISHED, {"rows": 3, "created": 3}),
            ("bad.csv", ImportStatus.FINISHED, {"rows": 3, "created": 1, "invalid": 2}),
            ("lost.csv", ImportStatus.FAILED, {}),
            ("waits.csv", ImportStatus.CHECKED, {}),
        ):
            UsageImport.objects.create(file_name=name, status=status, tally=tally, **common)
    finding = found(acme, Symptom.MISSING)["imports"]
    assert {row.text for row in finding.rows} == {"bad.csv", "lost.csv", "waits.csv"}
    assert "3 files of 4" in finding.found


def test_calls_that_nobody_settled(acme: Organization, alice: User, healthy: None) -> None:
    at = now() - HOUR
    with organization_scope(acme.pk):
        Hold.objects.create(
            id=uuid.uuid4(), organization=acme, event_id="h", source="gateway", occurred_at=at, expires_at=at,
            project_id=0, team_id=0, department_id=0, member_id=0, api_key_id=0, model="m", feature="", tokens=1,
            estimate=b"",
        )  # fmt: skip
    assert "1 call should be usage" in found(acme, Symptom.MISSING)["waiting_calls"].found


def test_events_of_the_future_and_late_ones(acme: Organization, alice: User, healthy: None) -> None:
    write(acme.pk, calls(alice, [30, 50], "late"))
    finding = found(acme, Symptom.MISSING)["other_times"]
    assert finding.state == "told"
    assert finding.found.startswith("2 events came more than a day late")
    write(acme.pk, [make_event("future", now() + 3 * DAY, user=alice.email)])
    finding = found(acme, Symptom.MISSING)["other_times"]
    assert finding.state == "cause"
    assert finding.found.startswith("1 event is said to happen in the future")


def test_estimated_and_unknown_use(acme: Organization, alice: User, healthy: None) -> None:
    write(acme.pk, [*calls(alice, [2], "g", is_estimated=True), *calls(alice, [3], "u", usage=None)])
    assert found(acme, Symptom.MISSING)["estimated"].found == "1 event estimated; 1 call of unknown use."


# ── A cost is wrong ──


def test_unpriced_and_free_usage(acme: Organization, alice: User, healthy: None) -> None:
    write(acme.pk, [*calls(alice, [2], "odd", model="odd-1"), *calls(alice, [2, 3], "free", model="free-1")])
    findings = found(acme, Symptom.COST)
    assert (findings["unpriced"].state, [row.text for row in findings["unpriced"].rows]) == ("cause", ["odd-1"])
    assert (findings["free"].state, [row.text for row in findings["free"].rows]) == ("told", ["free-1"])
    assert states(found(acme, Symptom.COST, model=["gpt-4o"])) == {}


def test_prices_that_changed_and_own_ones(acme: Organization, alice: User, healthy: None) -> None:
    with organization_scope(acme.pk):
        version = PriceVersion.objects.create(
            organization=acme, kind=PriceKind.OVERRIDE, provider="openai", model="gpt-4o", source="contract",
            valid_from=now() - DAY,
        )  # fmt: skip
        PriceRate.objects.create(organization=acme, version=version, bucket="input", femtos_per_unit=1)
    findings = found(acme, Symptom.COST)
    assert [row.text for row in findings["price_changes"].rows] == ["gpt-4o"]
    assert [row.text for row in findings["own_prices"].rows] == ["openai/gpt-4o"]


def test_a_cost_that_does_not_follow_from_its_price(acme: Organization, healthy: None) -> None:
    with organization_scope(acme.pk), connection.cursor() as cursor:
        cursor.execute("UPDATE metering_event SET cost_nanos = cost_nanos + 1 WHERE event_id IN ('e3', 'e5')")
    finding = found(acme, Symptom.COST)["receipts"]
    assert finding.state == "cause"
    assert {row.text for row in finding.rows} == {"e3", "e5"}
    assert finding.found.startswith("2 calls cost something else")


def test_of_many_calls_some_hours_are_worked_out_again(
    acme: Organization, healthy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.diagnosis.costs.MOST_RECOUNTED", 10)
    looked_at = found(acme, Symptom.COST)["receipts"].looked_at
    assert looked_at.startswith(("10 calls, in 10 hours", "11 calls, in 11 hours"))


def test_corrections_conflicts_and_estimates(acme: Organization, alice: User, healthy: None) -> None:
    key = make_key(acme).row
    write(acme.pk, [make_event("new", now() - HOUR, user=alice.email, supersedes="e1", is_estimated=True)])
    with organization_scope(acme.pk):
        Refusal.objects.create(
            organization=acme, api_key_id=key.pk, day=now().astimezone(dt.UTC).date(), code="event_conflict",
            count=2, last_at=now(), message="",
        )  # fmt: skip
    findings = found(acme, Symptom.COST)
    assert findings["corrected"].found.startswith("1 event was corrected")
    assert findings["conflicts"].found.startswith("2 events contradicted")
    assert findings["estimated"].state == "told"


# ── Team totals differ ──


def test_sums_that_are_not_those_of_the_events(acme: Organization, healthy: None) -> None:
    with organization_scope(acme.pk), connection.cursor() as cursor:
        cursor.execute("UPDATE metering_usage_day SET requests = requests + 1 WHERE kind = 5")
    finding = found(acme, Symptom.TOTALS, days=6)["roll_ups"]
    assert finding.state == "cause"
    assert [row.text for row in finding.rows] == ["Search"]


def test_usage_of_no_team(acme: Organization, vera: User, healthy: None) -> None:
    write(acme.pk, [*calls(vera, [2], "v"), make_event("nobody", now() - HOUR)])
    finding = found(acme, Symptom.TOTALS)["without_team"]
    assert {row.text for row in finding.rows} == {"Vera", "of no member either"}


def test_members_of_several_teams_and_those_who_moved(
    acme: Organization, alice: User, alices_team: Team, website: Project, healthy: None
) -> None:
    with organization_scope(acme.pk):
        other = teams.create_team(acme, "Other", by=BY)
        Project.objects.filter(pk=website.pk).update(team=other)
    write(acme.pk, calls(alice, [4], "w", project="website"))
    with organization_scope(acme.pk):
        teams.remove_from_team(TeamMembership.objects.select_related("team", "membership__user").get(), by=BY)
    findings = found(acme, Symptom.TOTALS)
    (row,) = findings["several_teams"].rows
    assert (row.text, row.detail) == ("Alice", "Search 40, Other 1")
    assert {row.detail for row in findings["other_team_now"].rows} == {"40 calls for Search", "1 call for Other"}
    assert [row.text for row in findings["moves"].rows] == ["team remove member: Search"]


def test_a_change_of_zone(acme: Organization, healthy: None) -> None:
    with organization_scope(acme.pk):
        organizations.update_organization(Organization.objects.get(), {"timezone": "Asia/Kolkata"}, by=BY)
        acme.refresh_from_db()
    finding = found(acme, Symptom.TOTALS)["zone"]
    assert finding.found.startswith("Sums are kept in Europe/Berlin")
    assert [row.text for row in finding.rows] == ["Europe/Berlin to Asia/Kolkata"]


def test_what_came_later(acme: Organization, alice: User, healthy: None) -> None:
    write(acme.pk, [*calls(alice, [40, 60], "late"), make_event("new", now(), user=alice.email, supersedes="e1")])
    found_ = found(acme, Symptom.TOTALS)["later_changes"].found
    assert found_.startswith("2 events came more than a day late")
    assert found_.endswith("1 event was corrected.")
