"""Bringing the stored list prices up to date with the catalogue."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.utils.timezone import now

from core.tenancy import unscoped
from metering.models.prices import PriceAlias, PriceKind, PriceRate, PriceVersion
from metering.pricing.catalogue import ListedModel, Prices, listed_models, spans_of
from metering.pricing.rate import Rate
from metering.pricing.timeline import Changes, StoredSpan, changes

# Two syncs at once would each add the same versions; the second waits here and finds nothing to do.
LOCK = 7_265_002
_BATCH = 2_000


@dataclass(frozen=True)
class SyncResult:
    """How many rows a sync added or ended. All 0 when the book was up to date."""

    versions_added: int
    versions_ended: int
    names_added: int
    names_moved: int

    @property
    def is_unchanged(self) -> bool:
        return not (self.versions_added or self.versions_ended or self.names_added or self.names_moved)


def sync_prices(models: Sequence[ListedModel] | None = None) -> SyncResult:
    """Write what the catalogue lists. Models it no longer lists keep their prices and names."""
    listed = listed_models() if models is None else models
    with unscoped("list prices belong to every organization"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        stored = _stored_spans()
        at = now()
        planned = [
            (model, changes(stored.get((model.provider, model.model), []), spans_of(model), at)) for model in listed
        ]
        ended = _end(planned)
        added = _add(planned)
        names_added, names_moved = _write_names(listed)
    return SyncResult(added, ended, names_added, names_moved)


def _stored_spans() -> dict[tuple[str, str], list[StoredSpan]]:
    figures: dict[int, set[Hashable]] = {}
    rates = PriceRate.objects.filter(organization=None).values_list(
        "version_id", "bucket", "service_tier", "above_tokens", "starts_at", "ends_at", "femtos_per_unit"
    )
    for version_id, *figure in rates.iterator(_BATCH):
        figures.setdefault(version_id, set()).add(tuple(figure))
    spans: dict[tuple[str, str], list[StoredSpan]] = {}
    versions = PriceVersion.objects.filter(organization=None).values_list(
        "id", "provider", "model", "valid_from", "valid_to", "is_free"
    )
    for version_id, provider, model, valid_from, valid_to, is_free in versions.iterator(_BATCH):
        content = (is_free, frozenset(figures.get(version_id, ())))
        spans.setdefault((provider, model), []).append(StoredSpan(version_id, valid_from, valid_to, content))
    return spans


def _end(planned: Iterable[tuple[ListedModel, Changes]]) -> int:
    ends = [item for _, change in planned for item in change.ends.items()]
    # Those that shrink first: a version may only grow into what another has left.
    for version_id, at in sorted(ends, key=lambda item: (item[1] is None, item[1])):
        PriceVersion.objects.filter(id=version_id).update(valid_to=at)
    return len(ends)


def _add(planned: Iterable[tuple[ListedModel, Changes]]) -> int:
    versions: list[PriceVersion] = []
    contents: list[Prices] = []
    for model, change in planned:
        by_figures = {prices.figures: prices for _, _, prices in model.spans}
        for span in change.additions:
            prices = by_figures[span.content]  # type: ignore[index]
            versions.append(
                PriceVersion(
                    kind=PriceKind.LIST,
                    provider=model.provider,
                    model=model.model,
                    valid_from=span.valid_from,
                    valid_to=span.valid_to,
                    is_free=prices.is_free,
                    source=model.source,
                )
            )
            contents.append(prices)
    PriceVersion.objects.bulk_create(versions, batch_size=_BATCH)
    PriceRate.objects.bulk_create(
        [rate_row(version, rate) for version, prices in zip(versions, contents, strict=True) for rate in prices.rates],
        batch_size=_BATCH,
    )
    return len(versions)


def rate_row(version: PriceVersion, rate: Rate) -> PriceRate:
    return PriceRate(
        organization_id=version.organization_id,
        version_id=version.pk,
        bucket=rate.bucket,
        service_tier=rate.service_tier,
        above_tokens=rate.above_tokens,
        starts_at=rate.starts_at,
        ends_at=rate.ends_at,
        femtos_per_unit=rate.femtos_per_unit,
        note=rate.note,
    )


def _write_names(listed: Iterable[ListedModel]) -> tuple[int, int]:
    stored = {(row.provider, row.alias): row for row in PriceAlias.objects.filter(organization=None)}
    added, moved = [], []
    for model in listed:
        for name in sorted(model.names - {model.model}):
            row = stored.get((model.provider, name))
            if row is None:
                added.append(
                    PriceAlias(
                        provider=model.provider,
                        alias=name,
                        target_provider=model.provider,
                        model=model.model,
                        source=model.source,
                    )
                )
            elif row.model != model.model:
                row.model, row.source = model.model, model.source
                moved.append(row)
    PriceAlias.objects.bulk_create(added, batch_size=_BATCH)
    PriceAlias.objects.bulk_update(moved, ["model", "source"], batch_size=_BATCH)
    return len(added), len(moved)
