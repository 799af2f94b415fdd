"""Facts are kept with what happened, once, and handed to every channel, once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from accounts.models import Organization
from alerts import facts
from alerts.channels import CHANNELS
from alerts.examples import EXAMPLES
from alerts.models import ToldFact
from alerts.tasks import spread_facts
from core.facts import Fact, tell
from core.tenancy import organization_scope

ADDRESSED: list[str] = []


def note(fact: ToldFact) -> None:
    ADDRESSED.append(fact.key)


def refuse(fact: ToldFact) -> None:
    raise RuntimeError(f"no channel for {fact}")


def refuse_acme(fact: ToldFact) -> None:
    if fact.organization.slug == "acme":
        raise RuntimeError(f"no channel for {fact}")


@pytest.fixture(autouse=True)
def channels() -> Iterator[dict[str, str]]:
    before = dict(CHANNELS)
    CHANNELS.clear()
    CHANNELS["note"] = f"{__name__}.note"
    ADDRESSED.clear()
    yield CHANNELS
    CHANNELS.clear()
    CHANNELS.update(before)


def a_fact(acme: Organization, key: str = "key:1") -> Fact:
    return Fact("key.created", acme.pk, key, EXAMPLES["key.created"])


def kept() -> list[ToldFact]:
    return list(ToldFact.objects.order_by("pk"))


@pytest.mark.django_db
def test_a_fact_is_kept_once_with_what_it_says(acme: Organization) -> None:
    with organization_scope(acme.pk):
        tell(a_fact(acme))
        tell(a_fact(acme))
        [fact] = kept()
    assert (fact.kind, fact.data, fact.scope, fact.ref, fact.spread_at) == (
        "key.created",
        EXAMPLES["key.created"],
        "organization",
        0,
        None,
    )


@pytest.mark.django_db
def test_what_was_rolled_back_is_not_told(acme: Organization) -> None:
    with organization_scope(acme.pk):
        with transaction.atomic():
            tell(a_fact(acme))
            transaction.set_rollback(True)
        assert kept() == []


@pytest.mark.django_db(transaction=True)
def test_telling_outside_of_a_transaction_is_refused(acme: Organization) -> None:
    with pytest.raises(RuntimeError, match="outside of the transaction"):
        tell(a_fact(acme))


@pytest.mark.django_db
def test_every_channel_has_it_once(acme: Organization) -> None:
    with organization_scope(acme.pk):
        tell(a_fact(acme))
    spread_facts()
    spread_facts()
    assert ADDRESSED == ["key:1"]


@pytest.mark.django_db
def test_a_channel_that_fails_leaves_it_to_be_spread_again(acme: Organization, channels: dict[str, str]) -> None:
    with organization_scope(acme.pk):
        tell(a_fact(acme))
        [fact] = kept()
    channels["broken"] = f"{__name__}.refuse"
    with pytest.raises(RuntimeError):
        facts.spread(acme.pk, fact.pk)
    assert facts.waiting() == [(acme.pk, fact.pk)]
    del channels["broken"]
    spread_facts()
    assert facts.waiting() == []


@pytest.mark.django_db(transaction=True)
def test_two_that_spread_at_once_address_it_once(acme: Organization) -> None:
    with organization_scope(acme.pk):
        tell(a_fact(acme))
        [fact] = kept()

    def spread() -> None:
        facts.spread(acme.pk, fact.pk)
        connection.close()

    threads = [threading.Thread(target=spread) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ADDRESSED == ["key:1"]


@pytest.mark.django_db
def test_a_fact_in_trouble_holds_no_other_up(
    acme: Organization, globex: Organization, channels: dict[str, str]
) -> None:
    channels["choosy"] = f"{__name__}.refuse_acme"
    for organization in (acme, globex):
        with organization_scope(organization.pk):
            tell(Fact("key.created", organization.pk, "key:1", EXAMPLES["key.created"]))
    spread_facts()
    [(organization_id, _)] = facts.waiting()
    assert organization_id == acme.pk
