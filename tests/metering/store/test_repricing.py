"""Repricing on PostgreSQL: events and roll-ups change together, exactly, or not at all."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from accounts.models import AuditEntry, Organization
from core.errors import ApiError
from core.tenancy import organization_scope, unscoped
from metering.events import Usage
from metering.models import PriceVersion
from metering.pricing import overrides
from metering.pricing import reprice as repricing
from metering.pricing.book import PriceBook
from metering.pricing.rate import Pricing
from metering.pricing.reprice import ModelDifference, Repriced, Repricing, reprice
from metering.prove import prove_month
from metering.store import repricing as store
from metering.store.repricing import PostgresRepricing
from metering.store.staging import LOCK_CLASS
from tests.metering.store.repriced_usage import (
    DECEMBER,
    FIONA,
    NOVEMBER,
    assert_rolled_up,
    call,
    costs,
    everything,
    list_price,
    own_price,
    stored,
    write,
)

HOUR = dt.timedelta(hours=1)
USD = 10**9
USD_3 = Decimal(3)


def look(organization: Organization, model: str | None = None) -> Repricing:
    return reprice(PostgresRepricing(model=model), PriceBook.load(), organization.id, NOVEMBER, DECEMBER)


def act(organization: Organization, digest: str, usage_store: PostgresRepricing | None = None) -> Repricing:
    return reprice(
        usage_store or PostgresRepricing(is_alone=True),
        PriceBook.load(),
        organization.id,
        NOVEMBER,
        DECEMBER,
        dry_run=False,
        actor=FIONA,
        confirmed_digest=digest,
    )


def entries(organization: Organization) -> list[AuditEntry]:
    with organization_scope(organization.id):
        return list(AuditEntry.objects.filter(action="prices.reprice"))


def held_locks() -> set[str]:
    with connection.cursor() as cursor:
        # Other workers' databases are in the same cluster.
        cursor.execute(
            "SELECT mode FROM pg_locks WHERE locktype = 'advisory' AND classid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [LOCK_CLASS],
        )
        return {mode for (mode,) in cursor.fetchall()}


@pytest.fixture
def usage(acme: Organization, globex: Organization) -> None:
    """November of both at list prices; Acme's with chats, an unpriced model, a correction, and the month's edges."""
    list_price("gpt-4o", input="2", output="10")
    list_price("o9", input="1")
    write(
        acme,
        [
            call("before", NOVEMBER - dt.timedelta(microseconds=1)),
            call("first", chat="c1", chat_title="Greetings", detail={"chat_title": "Greetings"}),
            call("same hour", NOVEMBER + HOUR / 2, chat="c1", feature="chat", user="bob@acme.test"),
            call("corrected", NOVEMBER + 30 * HOUR, usage=Usage(input=7), chat="c2"),
            call("other", NOVEMBER + 31 * HOUR, "o9"),
            call("unknown", NOVEMBER + 32 * HOUR, "our-llm"),
            call("no usage", NOVEMBER + 33 * HOUR, usage=None),
            call("failed", NOVEMBER + 34 * HOUR, usage=None, status="error"),
            call("last", DECEMBER - dt.timedelta(microseconds=1), usage=Usage(input=1, output=1_000_000)),
            call("after", DECEMBER),
        ],
    )
    write(acme, [call("correction", NOVEMBER + 30 * HOUR, supersedes="corrected", chat="c2")])
    write(globex, [call("theirs", NOVEMBER + HOUR)])


def test_a_dry_run_changes_nothing_and_keeps_nobody_waiting(acme: Organization, usage: None) -> None:
    own_price(acme, input="1.5")
    before = everything(acme)
    plan = look(acme)
    assert plan.differences == (
        ModelDifference("openai", "gpt-4o", 6, 4, 0, 0, 16 * USD + 2_000, 29 * USD // 2 + 1_500),
    )
    assert everything(acme) == before
    assert entries(acme) == []
    assert held_locks() == {"ShareLock"}  # the writers' own, of this test's one transaction
    look_alone = PostgresRepricing(is_alone=True)
    with organization_scope(acme.id):
        assert len(list(look_alone.calls_between(acme.id, NOVEMBER, DECEMBER))) == look_alone.calls_read == 8
    assert "ExclusiveLock" in held_locks()


def test_the_act_changes_events_and_rollups(acme: Organization, usage: None) -> None:
    old_version = stored(acme, "metering_event", "occurred_at")[1]["price_version_id"]
    own_price(acme, input="1.5")
    done = act(acme, look(acme).digest)
    assert (done.is_done, done.changed) == (True, 4)
    assert costs(acme) == {
        "before": 2 * USD,
        "first": USD * 3 // 2,
        "same hour": USD * 3 // 2,
        "corrected": 14_000,
        "correction": USD * 3 // 2,
        "other": USD,
        "unknown": None,
        "no usage": None,
        "failed": 0,
        "last": 10 * USD + 1_500,
        "after": 2 * USD,
    }
    first = next(row for row in stored(acme, "metering_event", "occurred_at") if row["event_id"] == "first")
    assert first["price_version_id"] not in (0, old_version)
    assert first["price_rule"] == "override"
    assert (first["input_cost_nanos"], first["output_cost_nanos"]) == (USD * 3 // 2, 0)
    chats = {row["chat"]: row for row in stored(acme, "metering_usage_chat", "chat")}
    assert (chats["c1"]["requests"], chats["c1"]["cost_nanos"], chats["c1"]["title"]) == (2, 3 * USD, "Greetings")
    assert_rolled_up(acme)
    proof = prove_month(acme.id, dt.date(2026, 11, 1))
    assert proof is not None
    assert proof.is_proved
    (entry,) = entries(acme)
    assert entry.changes["openai/gpt-4o"] == ["16.000002", "14.5000015"]


def test_a_second_act_finds_another_difference(acme: Organization, usage: None) -> None:
    own_price(acme, input="1.5")
    digest = look(acme).digest
    act(acme, digest)
    assert look(acme).changed == 0
    before = everything(acme)
    with pytest.raises(ApiError) as refused:
        act(acme, digest)
    assert refused.value.status == 409
    assert everything(acme) == before
    assert len(entries(acme)) == 1


def test_an_own_price_is_nobody_elses(acme: Organization, globex: Organization, usage: None) -> None:
    own_price(acme, input="1.5")
    theirs = everything(globex)
    assert look(globex).changed == 0
    act(acme, look(acme).digest)
    assert everything(globex) == theirs


def test_a_model_of_ones_own_gets_its_price(acme: Organization, usage: None) -> None:
    overrides.set_custom_model(
        FIONA, acme.id, model="our-llm", rates=[overrides.gpu_rate(Decimal(2))], valid_from=NOVEMBER
    )
    # By the hour of its GPUs, and nobody knows how long the call took.
    assert look(acme).changed == 0
    overrides.set_custom_model(
        FIONA, acme.id, model="our-llm", rates=[overrides.rate("input", USD_3)], valid_from=NOVEMBER
    )
    plan = look(acme)
    assert plan.differences == (ModelDifference("openai", "our-llm", 1, 1, 1, 0, 0, 3 * USD),)
    act(acme, plan.digest)
    (day,) = [
        row for row in stored(acme, "metering_usage_day", "day") if row["kind"] == 0 and str(row["day"])[8:] == "02"
    ]
    # What is left unpriced is the call whose usage is unknown.
    assert (day["unpriced_requests"], day["unpriced_tokens"], day["cost_nanos"]) == (1, 0, 6 * USD)
    assert_rolled_up(acme)


def test_a_price_can_be_lost(acme: Organization, usage: None) -> None:
    with unscoped("the list takes a price back"):
        for version in PriceVersion.objects.filter(model="o9"):
            version.valid_to = version.valid_from
            version.save(update_fields=["valid_to"])
    plan = look(acme)
    assert [(one.model, one.newly_unpriced) for one in plan.differences] == [("o9", 1)]
    act(acme, plan.digest)
    row = next(row for row in stored(acme, "metering_event", "occurred_at") if row["event_id"] == "other")
    assert (row["pricing"], row["cost_nanos"], row["price_version_id"]) == (Pricing.UNPRICED, None, 0)
    assert_rolled_up(acme)


def test_one_model_alone(acme: Organization, usage: None) -> None:
    own_price(acme, input="1.5")
    own_price(acme, "o9", input="3")
    assert [one.model for one in look(acme).differences] == ["gpt-4o", "o9"]
    plan = look(acme, "o9")
    assert [one.model for one in plan.differences] == ["o9"]
    act(acme, plan.digest, PostgresRepricing(is_alone=True, model="o9"))
    assert costs(acme)["other"] == 3 * USD
    assert costs(acme)["first"] == 2 * USD
    assert_rolled_up(acme)
    assert look(acme, "never heard of").changed == 0


def test_what_came_after_the_dry_run_is_seen(acme: Organization, usage: None) -> None:
    own_price(acme, since=NOVEMBER + 2 * HOUR, input="1.5")
    plan = look(acme)
    # It is at the new price already; what the dry run said of the model is not so any more.
    write(acme, [call("late", NOVEMBER + 3 * HOUR)])
    before = everything(acme)
    with pytest.raises(ApiError, match="not what was shown"):
        act(acme, plan.digest)
    assert everything(acme) == before
    assert_rolled_up(acme)


def test_a_correction_after_the_dry_run_is_seen(acme: Organization, usage: None) -> None:
    own_price(acme, input="1.5")
    plan = look(acme)
    write(acme, [call("better", NOVEMBER + 30 * HOUR, "o9", supersedes="correction")])
    with pytest.raises(ApiError, match="not what was shown"):
        act(acme, plan.digest)
    act(acme, look(acme).digest)
    assert costs(acme)["correction"] == 2 * USD
    assert_rolled_up(acme)


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Australia/Lord_Howe", "America/New_York"])
@pytest.mark.parametrize(("batch", "most_staged"), [(2, 3), (3, 100), (4, 4), (5, 1), (2_000, 100_000)])
def test_batches_of_any_size(
    acme: Organization, monkeypatch: pytest.MonkeyPatch, zone: str, batch: int, most_staged: int
) -> None:
    monkeypatch.setattr(repricing, "_BATCH", batch)
    monkeypatch.setattr(store, "_MOST_STAGED", most_staged)
    monkeypatch.setattr(store, "_FETCHED", 5)
    with organization_scope(acme.id):
        Organization.objects.update(timezone=zone)
    list_price("gpt-4o", input="2", output="10")
    usages = [Usage(input=n, output=3 * n) for n in range(24)]
    write(
        acme,
        [
            call(f"e{n}", NOVEMBER + n * 30.3 * HOUR, usage=one, chat=f"c{n % 3}", user=f"u{n % 5}")
            for n, one in enumerate(usages)
        ],
    )
    own_price(acme, input="1.5", since=NOVEMBER + 100 * HOUR)
    plan = look(acme)
    assert plan.changed == 20
    assert act(acme, plan.digest).differences == plan.differences
    assert look(acme).changed == 0
    assert_rolled_up(acme)


class FailingStore(PostgresRepricing):
    """Its second batch fails behind its writes, as when the process dies before it commits."""

    batches = 0

    def replace_costs(self, organization_id: int, repriced: Sequence[Repriced]) -> None:
        super().replace_costs(organization_id, repriced)
        self.batches += 1
        if self.batches == 2:
            raise KeyboardInterrupt


@pytest.mark.django_db(transaction=True)
def test_a_failure_leaves_nothing_half_done(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    acme: Organization = request.getfixturevalue("acme")
    request.getfixturevalue("usage")
    monkeypatch.setattr(repricing, "_BATCH", 1)
    monkeypatch.setattr(store, "_MOST_STAGED", 1)
    own_price(acme, input="1.5")
    digest, before = look(acme).digest, everything(acme)
    with pytest.raises(KeyboardInterrupt):
        act(acme, digest, FailingStore(is_alone=True))
    assert everything(acme) == before
    assert entries(acme) == []
    assert act(acme, digest).changed == 4
    assert_rolled_up(acme)


class PausingStore(PostgresRepricing):
    """Lets a writer try its luck while the costs are being replaced."""

    def __init__(self, write_meanwhile: Any) -> None:
        super().__init__(is_alone=True)
        self.writer = threading.Thread(target=write_meanwhile)
        self.was_waiting = False

    def replace_costs(self, organization_id: int, repriced: Sequence[Repriced]) -> None:
        super().replace_costs(organization_id, repriced)
        if not self.writer.ident:
            self.writer.start()
            self.writer.join(timeout=1)
            self.was_waiting = self.writer.is_alive()


@pytest.mark.django_db(transaction=True)
def test_writers_wait_for_the_act(request: pytest.FixtureRequest) -> None:
    acme: Organization = request.getfixturevalue("acme")
    request.getfixturevalue("usage")
    own_price(acme, input="1.5")

    def write_meanwhile() -> None:
        try:
            write(acme, [call("meanwhile", NOVEMBER + HOUR / 4, chat="c1")])
        finally:
            connection.close()

    pausing = PausingStore(write_meanwhile)
    act(acme, look(acme).digest, pausing)
    pausing.writer.join(timeout=20)
    assert pausing.was_waiting
    assert costs(acme)["meanwhile"] == USD * 3 // 2
    assert_rolled_up(acme)


def test_only_a_store_that_is_alone_writes(acme: Organization, usage: None) -> None:
    own_price(acme, input="1.5")
    before = everything(acme)
    with pytest.raises(RuntimeError, match="alone"):
        act(acme, "", PostgresRepricing())
    assert everything(acme) == before
