from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from accounts.models import Organization
from core.tenancy import organization_scope, unscoped
from metering.events import Usage
from metering.models.prices import PriceAlias, PriceRate, PriceVersion
from metering.pricing.book import CHANNEL, PriceBook
from metering.pricing.catalogue import BEGINNING, ListedModel, Prices
from metering.pricing.rate import Rate
from metering.pricing.sync import sync_prices
from tests.metering.pricing.prices import NOON, per_million, rate

pytestmark = pytest.mark.django_db

CUT = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
DEAR, CHEAP = per_million(input=10, output=40), per_million(input=2, output=8)


def listed(
    *spans: tuple[dt.datetime, tuple[Rate, ...]], model: str = "o9", names: set[str] | None = None
) -> ListedModel:
    ends = [start for start, _ in spans[1:]]
    periods = tuple(
        (start, end, Prices(False, rates)) for (start, rates), end in zip(spans, [*ends, None], strict=True)
    )
    return ListedModel("openai", model, frozenset(names or {f"{model}-2026-01-01"}), periods, "catalogue 1")


def rated(at: dt.datetime = NOON, model: str = "o9") -> float | None:
    usage = Usage(input=1_000_000, output=1_000_000)
    cost = PriceBook.load().rate(1, provider="openai", model=model, occurred_at=at, usage=usage).cost_nanos
    return None if cost is None else cost / 10**9


def test_what_is_listed_is_rated() -> None:
    result = sync_prices([listed((BEGINNING, DEAR), (CUT, CHEAP))])
    assert (result.versions_added, result.versions_ended, result.names_added) == (2, 0, 1)
    assert rated(CUT - dt.timedelta(microseconds=1)) == 50
    assert rated(CUT) == 10
    assert rated(model="o9-2026-01-01") == 10


def test_a_second_sync_changes_nothing() -> None:
    models = [listed((BEGINNING, DEAR), (CUT, CHEAP))]
    sync_prices(models)
    before = snapshot()
    assert sync_prices(models).is_unchanged
    assert snapshot() == before


def test_a_model_that_is_dropped_keeps_its_version_and_its_names() -> None:
    sync_prices([listed((BEGINNING, DEAR)), listed((BEGINNING, CHEAP), model="o8")])
    assert sync_prices([listed((BEGINNING, CHEAP), model="o8")]).is_unchanged
    assert rated() == 50
    assert rated(model="o9-2026-01-01") == 50


def test_a_new_price_keeps_the_old_version_as_it_was() -> None:
    sync_prices([listed((BEGINNING, DEAR))])
    (old,) = PriceBook.load().resolve(1, "openai", "o9").periods
    result = sync_prices([replace(listed((BEGINNING, DEAR), (CUT, CHEAP)), source="catalogue 2")])
    assert (result.versions_added, result.versions_ended) == (1, 1)
    kept = PriceBook.load().version(old[2].version.id)
    assert kept is not None
    assert (kept.rates, kept.source, kept.valid_to) == (old[2].version.rates, "catalogue 1", CUT)
    assert (rated(CUT - dt.timedelta(microseconds=1)), rated(CUT)) == (50, 10)


def test_a_name_may_move_to_another_model() -> None:
    sync_prices([listed((BEGINNING, DEAR), names={"o-latest"}), listed((BEGINNING, CHEAP), model="o8")])
    result = sync_prices([listed((BEGINNING, CHEAP), model="o8", names={"o-latest"})])
    assert (result.names_added, result.names_moved) == (0, 1)
    assert rated(model="o-latest") == 10


def test_tiers_windows_and_notes_survive_the_way_through_the_database() -> None:
    window = (dt.time(16, 30), dt.time(0, 30))
    rates = (
        *DEAR,
        rate("input", 5, tier="batch", note="half"),
        rate("input", 7, above=200_000),
        rate("output", 9, window=window),
    )
    sync_prices([listed((BEGINNING, rates))])
    ((_, _, plan),) = PriceBook.load().resolve(1, "openai", "o9").periods
    assert set(plan.version.rates) == set(rates)


def test_the_command_writes_the_installed_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("sync_prices")
    assert "added" in capsys.readouterr().out
    call_command("sync_prices")
    assert "Prices are up to date with genai-prices" in capsys.readouterr().out
    book = PriceBook.load()
    assert book.resolve(1, None, "gpt-4o").listed == ("openai", "gpt-4o")


# ── What the database holds to ──


@contextmanager
def refused(text: str) -> Iterator[None]:
    with pytest.raises(DatabaseError, match=text), transaction.atomic():
        yield


def test_versions_of_one_model_never_overlap(acme: Organization) -> None:
    sync_prices([listed((BEGINNING, DEAR))])
    with unscoped("test"):
        with refused("price_period_once"):
            PriceVersion.objects.create(provider="openai", model="o9", kind="list", valid_from=NOON, source="x")
        PriceVersion.objects.create(provider="openai", model="o9-mini", kind="list", valid_from=NOON, source="x")
        PriceVersion.objects.create(
            organization=acme, provider="openai", model="o9", kind="override", valid_from=NOON, source="x"
        )


def test_periods_that_touch_do_not_overlap() -> None:
    with unscoped("test"):
        for start, end in ((BEGINNING, CUT), (CUT, NOON), (NOON, None), (CUT, CUT)):
            PriceVersion.objects.create(
                provider="p", model="m", kind="list", valid_from=start, valid_to=end, source="x"
            )


def test_versions_and_rates_are_immutable_but_for_their_end() -> None:
    sync_prices([listed((BEGINNING, DEAR))])
    with unscoped("test"):
        with refused("only valid_to may change"):
            PriceVersion.objects.update(source="other")
        with refused("only valid_to may change"):
            PriceVersion.objects.update(is_free=True)
        with refused("price rates never change"):
            PriceRate.objects.update(femtos_per_unit=1)
        with refused("price rates are never deleted"):
            PriceRate.objects.all().delete()
        with refused("price rates are never deleted"):
            PriceVersion.objects.all().delete()
        assert PriceVersion.objects.update(valid_to=NOON) == 1


@pytest.mark.django_db(transaction=True)
def test_rates_are_not_added_to_a_version_of_an_earlier_transaction() -> None:
    sync_prices([listed((BEGINNING, DEAR))])
    with unscoped("test"):
        version = PriceVersion.objects.get()
        with refused("a rate is added together with its version"):
            PriceRate.objects.create(version=version, bucket="audio_input", femtos_per_unit=1)


def test_an_organization_reads_list_prices_and_cannot_write_them(acme: Organization, globex: Organization) -> None:
    sync_prices([listed((BEGINNING, DEAR))])
    with unscoped("test"):
        PriceVersion.objects.create(
            organization=globex, provider="", model="secret", kind="custom", valid_from=BEGINNING, source="x"
        )
    with organization_scope(acme.id):
        assert [version.model for version in PriceVersion.published.all()] == ["o9"]
        assert not PriceVersion.objects.exists()
        with connection.cursor() as cursor:
            cursor.execute("SELECT model FROM metering_priceversion")
            assert cursor.fetchall() == [("o9",)]
        with refused("row-level security"):
            PriceVersion.objects.create(provider="p", model="m", kind="list", valid_from=NOON, source="x")
        with refused("row-level security"):
            PriceVersion.published.update(valid_to=NOON)
        with refused("row-level security"):
            PriceAlias.objects.create(provider="p", alias="a", target_provider="p", model="m", source="x")


@pytest.mark.django_db(transaction=True)
def test_processes_hear_of_changes() -> None:
    raw = connection.cursor().connection
    assert raw is not None
    raw.execute(f"LISTEN {CHANNEL}")
    try:
        sync_prices([listed((BEGINNING, DEAR))])
        assert [notice.payload for notice in raw.notifies(timeout=2, stop_after=1)] == [""]
    finally:
        raw.execute(f"UNLISTEN {CHANNEL}")


def snapshot() -> list[object]:
    with unscoped("test"):
        return [
            *PriceVersion.objects.order_by("id").values_list("id", "valid_from", "valid_to", "source"),
            *PriceAlias.objects.order_by("id").values_list("id", "alias", "model"),
            PriceRate.objects.count(),
        ]
