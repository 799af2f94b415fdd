"""Comparisons under a name: kept with the price versions they were made at, and made again to see whether they hold.

A kept comparison is what was told then. Made again, the same versions are multiplied with the usage that is known by
now, so that a difference is usage that came later or was corrected; that prices are others today is told beside it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Membership, Team
from accounts.permissions import Right, administered_team_ids, may
from core.errors import ApiError
from core.tenancy import organization_scope
from metering.pricing.book import PriceBook
from metering.pricing.plan import Plan, Version
from metering.pricing.versions import load_versions
from metering.query.comparison import Comparison, Current, Replay, Target, compare, find_target
from metering.query.gpus import Gpus
from metering.query.metrics import Figures
from metering.query.spec import UsageQuery
from reports.filters import rights_for
from reports.models import KeptComparison

# Of one person.
MOST = 200


class KeptPrice(msgspec.Struct, frozen=True):
    """The version of a price that was compared with; its rates are in the price book, where they never change."""

    id: int
    organization_id: int | None
    kind: str
    provider: str
    model: str
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    is_free: bool
    source: str

    @classmethod
    def of(cls, version: Version) -> KeptPrice:
        return cls(*(getattr(version, name) for name in cls.__struct_fields__))

    @property
    def target(self) -> Target:
        """For its name and dates; there are no rates in it."""
        return Target(Plan(Version(rates=(), **msgspec.structs.asdict(self)), ""))


class Kept(msgspec.Struct, frozen=True):
    """A Comparison as it is stored."""

    prices: tuple[KeptPrice, ...]
    models: tuple[Current, ...]
    totals: Figures
    replays: tuple[Replay, ...]
    gpu: Replay | None
    gpu_tokens: tuple[int, int]
    is_by_time: bool

    @classmethod
    def of(cls, found: Comparison) -> Kept:
        return cls(
            tuple(KeptPrice.of(target.version) for target in found.targets), found.models, found.totals, found.replays,
            found.gpu, found.gpu_tokens, found.is_by_time,
        )  # fmt: skip

    @property
    def comparison(self) -> Comparison:
        return Comparison(
            tuple(price.target for price in self.prices), self.models, self.totals, self.replays, self.gpu,
            self.gpu_tokens, self.is_by_time,
        )  # fmt: skip

    @property
    def said(self) -> tuple[Any, ...]:
        """Every figure, without what models are called: a name may change."""
        models = {(one.model.ref, one.provider.ref): (one.figures, one.replays) for one in self.models}
        return self.totals, self.replays, self.gpu, self.gpu_tokens, self.is_by_time, models


class Again(msgspec.Struct, frozen=True):
    """A comparison made again. `found` is None where a price it needs is gone; `changed_models` have other figures."""

    at: dt.datetime
    found: Kept | None
    is_same: bool
    changed_models: int
    other_prices: tuple[str, ...]


# ── Who may ──


def visible_comparisons(membership: Membership) -> QuerySet[KeptComparison]:
    """What this person may see the usage of, the newest first. Needs the organization's scope."""
    role = membership.role
    whose = Q(of_member=membership) | Q(of_team__in=administered_team_ids(membership), of_member=None)
    if may(role, Right.SEE_USAGE):
        whose = Q()
    rows = KeptComparison.objects.select_related("kept_by__user", "of_member__user", "of_team").filter(whose)
    for right in Right:
        if not may(role, right):
            rows = rows.exclude(rights__contains=[right.value])
    return rows.order_by("-kept_at", "-pk")


def may_delete(kept: KeptComparison, membership: Membership) -> bool:
    """One's own; everybody's for who looks after reports."""
    return kept.kept_by_id == membership.pk or may(membership.role, Right.MANAGE_REPORTS)


def check_delete(kept: KeptComparison, membership: Membership) -> None:
    """Raises ApiError 403."""
    if not may_delete(kept, membership):
        raise ApiError(403, "forbidden", "Who kept a comparison deletes it.")


# ── Keeping ──


def keep(
    membership: Membership,
    name: str,
    query: UsageQuery,
    found: Comparison,
    gpus: Gpus,
    *,
    of_member: Membership | None,
    of_team: Team | None,
    by: Actor,
) -> KeptComparison:
    """Raises ApiError 409 for a second one of a name, 422 for one too many."""
    words = " ".join(name.split())
    if not words:
        raise ApiError(422, "invalid_parameter", "A comparison needs a name.", param="name")
    if KeptComparison.objects.filter(kept_by=membership).count() >= MOST:
        raise ApiError(422, "too_many", f"You keep {MOST} comparisons already, which is the most. Delete one first.")
    kept = KeptComparison(
        organization_id=membership.organization_id,
        kept_by=membership,
        of_member=of_member,
        of_team=of_team,
        rights=[right.value for right in rights_for(query.filters)],
        name=words,
        starts_at=query.start,
        ends_at=query.end,
        timezone=query.zone.key,
        filters={name: list(values) for name, values in query.filters.items()},
        gpus=gpus.written(),
        figures=msgspec.to_builtins(Kept.of(found)),
    )
    try:
        with transaction.atomic():
            kept.save(force_insert=True)
    except IntegrityError as error:
        raise ApiError(409, "name_taken", f"You keep a comparison called {words} already.", param="name") from error
    audit.record(by, "comparison.keep", kept, audit.creation(kept, ("name", "starts_at", "ends_at")))
    return kept


def delete(kept: KeptComparison, membership: Membership, *, by: Actor) -> None:
    """Raises ApiError 403."""
    check_delete(kept, membership)
    audit.record(by, "comparison.delete", kept, {"name": (kept.name, None)})
    kept.delete()


# ── What is kept, and whether it holds ──


def figures_of(kept: KeptComparison) -> Kept:
    return msgspec.convert(kept.figures, Kept)


def query_of(kept: KeptComparison) -> UsageQuery:
    filters = {name: tuple(values) for name, values in kept.filters.items()}
    return UsageQuery(
        kept.organization_id, kept.starts_at, kept.ends_at, ZoneInfo(kept.timezone), filters=filters
    )  # fmt: skip


def make_again(kept: KeptComparison) -> Again:
    """The usage of its range as it is known now, at the very prices that were kept. Opens the organization's scope."""
    before, at = figures_of(kept), now()
    with organization_scope(kept.organization_id):
        versions = load_versions(price.id for price in before.prices)
        other_prices = tuple(_other_prices(before.prices, kept.organization_id, at))
    if len(versions) < len(before.prices):
        return Again(at, None, is_same=False, changed_models=0, other_prices=other_prices)
    targets = [Target(Plan(versions[price.id], "")) for price in before.prices]
    found = Kept.of(compare(query_of(kept), targets, Gpus.read(kept.gpus)))
    changed = _changed(before.said[-1], found.said[-1])
    return Again(at, found, before.said == found.said, changed, other_prices)


def _changed(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> int:
    return sum(before.get(key) != after.get(key) for key in before.keys() | after.keys())


def _other_prices(prices: Iterable[KeptPrice], organization_id: int, at: dt.datetime) -> Iterable[str]:
    """In words, each target that is sold at another price today."""
    book = PriceBook.load()
    for price in prices:
        key = price.target.key
        try:
            version = find_target(book, organization_id, key, at).version
        except ApiError:
            yield f"{key} has no price today"
            continue
        if version.id != price.id:
            yield f"{key} has another price since {version.valid_from:%-d %b %Y}"
