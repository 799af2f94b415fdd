"""Names become references, usage gets its price; and `record` for whoever holds one connection."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import Membership, Organization, Project, TeamMembership, User
from core.tenancy import organization_scope, unscoped
from metering import directory as directories
from metering.dimensions import Kind
from metering.directory import Directory
from metering.events import Usage, UsageEvent
from metering.ingest.batch import parse_value
from metering.pipeline import Rated, Sender, UnknownLabelsError, event_key, rate, record
from metering.pricing.book import PriceBook
from metering.store.base import Outcome
from tests.metering.door import event, select

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
NOBODY = Sender()


def call(event_id: str = "e1", **fields: Any) -> UsageEvent:
    fields = {"occurred_at": NOW, "model": "gpt-4o", "usage": Usage(input=7, output=3), "body_hash": b"h" * 16} | fields
    return UsageEvent(event_id=event_id, **fields)


def stored(directory: Directory, *events: UsageEvent, sender: Sender = NOBODY) -> list[Rated]:
    return record(directory, PriceBook([]), sender, events, NOW)


def test_an_events_team_is_its_projects_else_its_members(
    acme: Organization, website: Project, bob: User, alice: User, search: Any
) -> None:
    with organization_scope(acme.id):
        bobs, alices = Membership.objects.get(user=bob), Membership.objects.get(user=alice)
        Membership.objects.filter(pk=alices.pk).update(external_id="A-1")
        plain = Project.objects.create(organization=acme, name="Plain", slug="plain")
    directory = Directory.load(acme.id)
    cases = [
        (call("1", user="Bob@ACME.test"), NOBODY, (0, search.id, search.department_id, bobs.id)),
        (call("2", user="a-1"), NOBODY, (0, 0, 0, alices.id)),
        (call("3", user="stranger@nowhere.test"), NOBODY, (0, 0, 0, 0)),
        (call("4", project="website", user="a-1"), NOBODY, (website.id, search.id, search.department_id, alices.id)),
        (
            call("5", project="plain", user="bob@acme.test"),
            NOBODY,
            (plain.id, search.id, search.department_id, bobs.id),
        ),
        (call("6"), Sender(9, website.id, bobs.id), (website.id, search.id, search.department_id, bobs.id)),
        (call("7", user="a-1"), Sender(9, None, bobs.id), (0, 0, 0, alices.id)),
        # A key made a moment ago is bound to what the directory has not heard of.
        (call("8"), Sender(9, 4_711, 4_712), (4_711, 0, 0, 4_712)),
    ]
    for sent, sender, expected in cases:
        (rated,) = stored(directory, sent, sender=sender)
        assert rated.row is not None
        told = (rated.row.project_id, rated.row.team_id, rated.row.department_id, rated.row.member_id)
        assert (sent.event_id, told) == (sent.event_id, expected)
        assert rated.row.api_key_id == sender.api_key_id
    (foreign,) = stored(directory, call("9", project="website"), sender=Sender(9, 4_711))
    assert foreign.problem is not None
    assert foreign.problem.code == "forbidden_project"
    assert select(acme, "SELECT count(*) FROM metering_event") == [(len(cases),)]


def test_the_oldest_place_counts(acme: Organization, bob: User, search: Any) -> None:
    with organization_scope(acme.id):
        member = Membership.objects.get(user=bob)
        newer = type(search).objects.create(organization=acme, name="Newer", slug="newer")
        TeamMembership.objects.create(organization=acme, team=newer, membership=member)
    (rated,) = stored(Directory.load(acme.id), call(user=bob.email))
    assert rated.row is not None
    assert rated.row.team_id == search.id


def test_an_email_beats_another_members_external_id(acme: Organization, bob: User, alice: User) -> None:
    with organization_scope(acme.id):
        Membership.objects.filter(user=alice).update(external_id=bob.email)
        bobs = Membership.objects.get(user=bob)
    assert Directory.load(acme.id).members[bob.email].id == bobs.id


def test_rating_says_what_it_does_not_know(acme: Organization) -> None:
    directory = Directory.load(acme.id)
    with pytest.raises(UnknownLabelsError) as raised:
        rate([call(feature="chat", end_user="u1"), call(model="o3")], directory, PriceBook([]), NOBODY, NOW)
    assert raised.value.labels == {
        (Kind.MODEL, "gpt-4o"), (Kind.MODEL, "o3"), (Kind.STATUS, "ok"), (Kind.FEATURE, "chat"), (Kind.END_USER, "u1")
    }  # fmt: skip


def test_every_column_is_in_its_place(acme: Organization) -> None:
    """Rows are filled by position; each value is told apart."""
    counts = Usage(**{name: number for number, name in enumerate(Usage.__struct_fields__, 1_000)})
    full = call(
        usage=counts, provider="p", endpoint="/e", feature="f", tool="t", integration="i", user="u", end_user="eu",
        chat="c", chat_title="title", message="m", service_tier="batch", duration_ms=77, time_to_first_token_ms=8,
        is_estimated=True, status="error", tags={"a": "b"}, raw_usage={"x": 1}, detail={"streamed": True},
    )  # fmt: skip
    (rated,) = stored(Directory.load(acme.id), full, sender=Sender(api_key_id=5))
    columns = ", ".join(
        f"(SELECT text FROM metering_label l WHERE l.id = e.{name}_id)"
        for name in ("model", "provider", "endpoint", "feature", "tool", "integration", "status", "user", "end_user")
    )
    sql = f"""SELECT {columns}, api_key_id, {", ".join(Usage.__struct_fields__)}, chat, message, service_tier,
        duration_ms, time_to_first_token_ms, is_estimated, is_error, is_usage_known, tags, raw_usage, detail,
        event_id, price_rule, occurred_at, received_at, uuid_send(key) FROM metering_event e"""
    (row,) = select(acme, sql)
    assert row[:9] == ("gpt-4o", "p", "/e", "f", "t", "i", "error", "u", "eu")
    assert row[9:23] == (5, *range(1_000, 1_013))
    assert row[23:31] == ("c", "m", "batch", 77, 8, True, True, True)
    assert [str(value).replace("'", '"') for value in row[31:34]] == ['{"a": "b"}', '{"x": 1}', '{"streamed": true}']
    assert row[34:36] == ("e1", rated.row.price_rule if rated.row else "")
    assert row[36:38] == (NOW, NOW)
    assert bytes(row[38]) == event_key("e1")


def test_record_forgets_labels_whose_transaction_was_undone(transactional_db: None, acme: Organization) -> None:
    directory = Directory.load(acme.id)

    def interrupted() -> None:
        with transaction.atomic():
            stored(directory, call(feature="new"))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        interrupted()
    assert select(acme, "SELECT count(*) FROM metering_label") == [(0,)]
    (rated,) = stored(directory, call(feature="new"))
    assert rated.outcome is Outcome.CREATED
    sql = "SELECT l.text FROM metering_event e JOIN metering_label l ON l.id = e.feature_id"
    assert select(acme, sql) == [("new",)]


def test_record_twice_in_one_transaction_and_after_a_savepoint(acme: Organization) -> None:
    directory = Directory.load(acme.id)
    with organization_scope(acme.id):
        assert [one.outcome for one in stored(directory, call("1"), call("2"))] == [Outcome.CREATED] * 2
        with suppress(InterruptedError), transaction.atomic():
            stored(directory, call("3"))
            raise InterruptedError
        assert [one.outcome for one in stored(directory, call("2"), call("3"))] == [Outcome.DUPLICATE, Outcome.CREATED]
    assert select(acme, "SELECT sum(requests) FROM metering_usage_day WHERE kind = 0") == [(3,)]


def test_record_leaves_its_callers_scope_as_it_was(acme: Organization, globex: Organization) -> None:
    with unscoped("the test looks at everybody"):
        stored(Directory.load(acme.id), call())
        assert Organization.objects.count() == 2
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM accounts_organization")
            assert cursor.fetchone() == (2,)


def test_more_names_than_fit_are_learned_again(acme: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "MOST_LABELS", 30)
    monkeypatch.setattr("metering.pipeline.MOST_REFERENCES", 10)
    directory = Directory.load(acme.id)
    for batch in range(4):
        rated = stored(directory, *(call(f"{batch}-{n}", feature=f"f{batch}-{n % 20}") for n in range(25)))
        assert {one.outcome for one in rated} == {Outcome.CREATED}
        assert sum(map(len, directory.labels.values())) <= 60
    assert select(acme, "SELECT count(DISTINCT feature_id), min(feature_id) > 0 FROM metering_event") == [(80, True)]
    assert select(acme, "SELECT count(*), max(slot) FROM metering_label WHERE kind = 9") == [(80, 10)]


def test_values_from_files_that_are_no_text(acme: Organization) -> None:
    for value, code in (
        (event(feature="\ud800"), "invalid_text"),
        (event("\udfff"), "invalid_text"),
        (event(feature="a\0"), "nul_character"),
        ({"id": "x"}, "missing_field"),
        ("text", "invalid_field"),
        (None, "invalid_field"),
    ):
        problem = parse_value(value, is_strict=True, received_at=NOW).problem
        assert problem is not None
        assert (value, problem.code) == (value, code)
    assert parse_value(event(feature="\U0001f680"), is_strict=True, received_at=NOW).event is not None
