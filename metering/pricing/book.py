"""The price book in memory: an immutable snapshot that rates calls.

A process loads one, and another when the database says that prices changed (`CHANNEL`). Snapshots share nothing, so
threads may use one while the next is loaded.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec

from core.tenancy import unscoped
from metering.events import Usage, UsageEvent
from metering.models.prices import PriceAlias, PriceKind, PriceRate, PriceVersion
from metering.pricing import aliases
from metering.pricing.plan import Plan, Version
from metering.pricing.rate import NO_USAGE, USAGE_UNKNOWN, Rate, Rating, unpriced
from metering.pricing.receipt import RatedCall, Receipt, make_receipt

# PostgreSQL notifies it with an organization's id, or with nothing for list prices.
CHANNEL = "tokenledger_prices"

# A program that makes up model names must not fill the memory.
_MAX_RESOLVED = 50_000

Key = tuple[str, str]
Period = tuple[dt.datetime, dt.datetime | None, Plan]


class Alias(msgspec.Struct, frozen=True):
    organization_id: int | None
    provider: str
    alias: str
    target_provider: str
    model: str


class Resolved(msgspec.Struct, frozen=True):
    """Where a model's prices are: periods in order of precedence, or why there are none."""

    periods: tuple[Period, ...]
    reason: str
    listed: Key | None = None


class PriceBook:
    """List prices of everybody and each organization's own, as of one moment."""

    __slots__ = ("_aliases", "_listed", "_names", "_own", "_owners", "_resolved", "_versions")

    def __init__(self, versions: Iterable[Version], names: Iterable[Alias] = ()) -> None:
        self._versions: dict[int, Version] = {}
        self._listed: dict[Key, list[Version]] = {}
        self._own: dict[tuple[int, str, str], list[Version]] = {}
        self._names: dict[Key, str] = {}
        self._aliases: dict[tuple[int, str, str], Key] = {}
        for version in versions:
            self._versions[version.id] = version
            if version.valid_from == version.valid_to:
                continue  # taken back; kept for the receipts of what it has rated
            if version.organization_id is None:
                self._listed.setdefault((version.provider, version.model), []).append(version)
            else:
                own_key = (version.organization_id, version.provider, version.model)
                self._own.setdefault(own_key, []).append(version)
        for alias in names:
            if alias.organization_id is None:
                self._names[alias.provider, alias.alias] = alias.model
            else:
                alias_key = (alias.organization_id, alias.provider, alias.alias)
                self._aliases[alias_key] = (alias.target_provider, alias.model)
        for key in self._listed:
            self._names[key] = key[1]
        self._owners = frozenset(key[0] for key in (*self._own, *self._aliases))
        # Filled as models are seen. Losing an entry to a race costs a second look-up, nothing else.
        self._resolved: dict[tuple[int, str | None, str], Resolved] = {}

    @classmethod
    def load(cls) -> PriceBook:
        """Every price there is, from the database."""
        with unscoped("the book holds the prices of every organization"):
            rates: dict[int, list[Rate]] = {}
            columns = ("bucket", "service_tier", "above_tokens", "starts_at", "ends_at", "femtos_per_unit", "note")
            for version_id, *values in PriceRate.objects.values_list("version_id", *columns):
                rates.setdefault(version_id, []).append(Rate(*values))
            fields = (
                "id", "organization_id", "kind", "provider", "model", "valid_from", "valid_to", "is_free", "source",
            )  # fmt: skip
            versions = [
                Version(*row, tuple(rates.get(row[0], ())))  # type: ignore[call-arg]
                for row in PriceVersion.objects.order_by("valid_from", "id").values_list(*fields)
            ]
            names = [
                Alias(*row)
                for row in PriceAlias.objects.values_list(
                    "organization_id", "provider", "alias", "target_provider", "model"
                )
            ]
        return cls(versions, names)

    # ── Rating ──

    def rate(
        self,
        organization_id: int,
        *,
        provider: str | None,
        model: str,
        occurred_at: dt.datetime,
        usage: Usage | None,
        service_tier: str | None = None,
        is_error: bool = False,
        duration_ms: int | None = None,
    ) -> Rating:
        """What the call costs the organization at the prices of its moment."""
        if usage is None:
            return NO_USAGE if is_error else USAGE_UNKNOWN
        if is_error and _is_empty(usage):
            return NO_USAGE
        key = (organization_id if organization_id in self._owners else 0, provider, model)
        resolved = self._resolved.get(key)
        if resolved is None:
            resolved = self._resolve(key)
        for valid_from, valid_to, plan in resolved.periods:
            if valid_from <= occurred_at and (valid_to is None or occurred_at < valid_to):
                return plan.rate(usage, occurred_at, service_tier, duration_ms)
        return unpriced(resolved.reason)

    def known_nanos(self, organization_id: int, event: UsageEvent) -> int:
        """What a call that cannot be priced completely costs at least, by those of its buckets that have a rate."""
        usage, at = event.usage, event.occurred_at
        if usage is None:
            return 0
        for valid_from, valid_to, plan in self.resolve(organization_id, event.provider, event.model).periods:
            if valid_from <= at and (valid_to is None or at < valid_to):
                return plan.known_nanos(usage, at, event.service_tier, event.duration_ms)
        return 0

    def receipt(self, call: RatedCall) -> Receipt:
        """How a stored call came to its cost, from the very version it was rated at."""
        version = self._versions.get(call.price_version_id) if call.price_version_id else None
        return make_receipt(call, version)

    def version(self, version_id: int) -> Version | None:
        """A version by its id, also one that is over or was taken back."""
        return self._versions.get(version_id)

    def resolve(self, organization_id: int, provider: str | None, model: str) -> Resolved:
        """All periods that could price the model for the organization, in order of precedence."""
        key = (organization_id if organization_id in self._owners else 0, provider, model)
        return self._resolved.get(key) or self._resolve(key)

    def effective(self, organization_id: int, at: dt.datetime) -> list[Version]:
        """The price of every model at a moment, as the organization pays it: its own before the list's."""
        chosen: dict[Key, Version] = {}
        own = [v for (owner, _, _), versions in self._own.items() if owner == organization_id for v in versions]
        for version in [*(v for versions in self._listed.values() for v in versions), *own]:
            if version.valid_from <= at and (version.valid_to is None or at < version.valid_to):
                chosen[version.provider, version.model] = version
        return [chosen[key] for key in sorted(chosen)]

    # ── Names ──

    def _resolve(self, key: tuple[int, str | None, str]) -> Resolved:
        organization_id, provider, model = key
        resolved = self._find(organization_id, aliases.canonical_provider(provider), model.strip().lower())
        if len(self._resolved) >= _MAX_RESOLVED:
            self._resolved.clear()
        self._resolved[key] = resolved
        return resolved

    def _find(self, organization_id: int, provider: str, model: str) -> Resolved:
        target = self._aliases.get((organization_id, provider, model)) or self._aliases.get(
            (organization_id, "", model)
        )
        prefix = ""
        if target is not None:
            prefix = f"own alias of {target[1]}; "
            provider, model = target
        listed, rule = self._find_listed(provider, model)
        own = self._own_periods(organization_id, provider, model, listed, prefix)
        if listed is None:
            if own:
                return Resolved(own, "no price at that time")
            return Resolved((), rule)
        periods = _periods(self._listed[listed], prefix + rule)
        return Resolved((*own, *periods), "no price at that time", listed)

    def _own_periods(
        self, organization_id: int, provider: str, model: str, listed: Key | None, prefix: str
    ) -> tuple[Period, ...]:
        """The organization's own prices: of this very name, of the name with any provider, of the listed model."""
        keys = dict.fromkeys([(provider, model), ("", model), *([listed] if listed else [])])
        periods: list[Period] = []
        for owner_provider, name in keys:
            for version in self._own.get((organization_id, owner_provider, name), ()):
                kind = "custom" if version.kind == PriceKind.CUSTOM else "override"
                periods += _periods([version], prefix + kind)
        return tuple(periods)

    def _find_listed(self, provider: str, model: str) -> tuple[Key | None, str]:
        """The listed model and the rule that found it, or None and why there is none."""
        if provider:
            return self._look_up(provider, model) or self._of_any(model) or (None, f"no price for {provider}/{model}")
        named = aliases.provider_in_name(model)
        if named is not None:
            return self._look_up(*named) or self._of_any(model) or (None, f"no price for {named[0]}/{named[1]}")
        matches = [match for maker in aliases.MAKERS if (match := self._look_up(maker, model, is_maker=True))]
        if len(matches) == 1:
            return matches[0]
        if matches:
            return None, "ambiguous: " + ", ".join(key[0] for key, _ in matches)
        return self._of_any(model) or (None, f"no price for {model}, no provider given")

    def _of_any(self, model: str) -> tuple[Key, str] | None:
        """The installation's own price of the name, whichever provider is given (metering/pricing/installation.py)."""
        return (("", model), "of any provider") if ("", model) in self._listed else None

    def _look_up(self, provider: str, model: str, *, is_maker: bool = False) -> tuple[Key, str] | None:
        """The provider's listed model, else that of the maker whose models it sells on."""
        key_and_rule = self._look_up_listed(provider, model)
        if key_and_rule is not None or is_maker:
            return key_and_rule
        bare = aliases.without_path(provider, model)
        for maker in aliases.RESELLERS.get(provider, ()):
            resold = self._look_up_listed(maker, bare)
            if resold is not None:
                return resold[0], f"alias: {maker}/{resold[0][1]} (resold)"
        return None

    def _look_up_listed(self, provider: str, model: str) -> tuple[Key, str] | None:
        for name, rule in aliases.names(provider, model):
            canonical = self._names.get((provider, name))
            if canonical is not None and (provider, canonical) in self._listed:
                if rule == "exact" and name == canonical:
                    return (provider, canonical), rule
                how = "listed name" if rule == "exact" else rule
                return (provider, canonical), f"alias: {canonical} ({how})"
        return None


def _periods(versions: Sequence[Version], rule: str) -> tuple[Period, ...]:
    # The latest first: most calls are of today.
    ordered = sorted(versions, key=lambda version: version.valid_from, reverse=True)
    return tuple((version.valid_from, version.valid_to, Plan(version, rule)) for version in ordered)


def _is_empty(usage: Usage) -> bool:
    return not (usage.total_tokens or usage.web_searches or usage.images or usage.media_ms)
