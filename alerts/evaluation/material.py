"""The answers to what an organization's rules need: one question for all that can share it, however many rules.

Everything that is usage is asked of metering/query, so an alert says what every page says.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from zoneinfo import ZoneInfo

import msgspec
from django.core.cache import cache

from accounts.models import Organization
from alerts.conditions.reading import (
    Allowances,
    Credits,
    Findings,
    Latencies,
    Need,
    Refusals,
    Span,
    Subject,
    Usage,
    UsualHours,
)
from alerts.detection.history import Seen, detect_past
from alerts.detection.judging import judge as detect
from alerts.models.rules import TEXT_SCOPES
from billing.contracts import Contract
from billing.credits import settlement
from billing.models import CreditEntry, Wallet
from core.periods import Interval
from metering.query import refusals
from metering.query.latency import read_latencies
from metering.query.metrics import Figures
from metering.query.run import UsageResult, UsageRow, run
from metering.query.spec import LONGEST, UsageQuery

# Hours that are over are asked for once; what comes in late for them is seen when the hour is another.
KEPT_SECONDS = 2 * 60 * 60

_Value = int | str
_ByModel = dict[str, dict[dt.datetime, Figures]]


class Material:
    """Usage at a moment, read once. Needs the organization's scope while it is loaded."""

    def __init__(self, organization: Organization, at: dt.datetime, *, is_live: bool = True) -> None:
        self.organization = organization
        self.at = at
        self.zone: ZoneInfo = organization.zone
        # Live, long-gone hours may come from the cache.
        self._is_live = is_live
        self._usage: dict[tuple[Interval, bool, str], dict[_Value, _ByModel]] = {}
        self._tokens: dict[str, dict[_Value, dict[dt.datetime, int]]] = {}
        self._latencies: dict[tuple[Interval, str], dict[_Value, dict[dt.datetime, tuple[int | None, int]]]] = {}
        self._refusals: list[refusals.Refused] = []
        self._contract: Contract | None = None
        self._findings: dict[Findings, list[Seen]] = {}
        self._credits: list[tuple[dt.datetime, int]] = []

    def load(self, needs: Iterable[Need]) -> None:
        asked = set(needs)
        usages: dict[tuple[Interval, bool, str], list[Usage]] = defaultdict(list)
        latencies: dict[tuple[Interval, str], list[Latencies]] = defaultdict(list)
        hours: dict[str, list[UsualHours]] = defaultdict(list)
        for need in asked:
            if isinstance(need, Usage):
                usages[need.interval, need.by_model, need.subject.dimension].append(need)
            elif isinstance(need, Latencies):
                latencies[need.interval, need.subject.dimension].append(need)
            elif isinstance(need, UsualHours):
                hours[need.subject.dimension].append(need)
        for (interval, by_model, dimension), together in usages.items():
            self._usage[interval, by_model, dimension] = self._read_usage(interval, by_model, dimension, together)
        for dimension, of_hours in hours.items():
            self._tokens[dimension] = self._read_hours(dimension, of_hours)
        for (interval, dimension), slow in latencies.items():
            self._latencies[interval, dimension] = self._read_latencies(interval, dimension, slow)
        self._load_others(asked)

    def _load_others(self, asked: set[Need]) -> None:
        refused = [need for need in asked if isinstance(need, Refusals)]
        if refused:
            span = _whole(refused)
            self._refusals = refusals.too_fast(span.start, span.end)
        if any(isinstance(need, Allowances) for need in asked):
            self._contract = Contract.load(self.organization)
        for need in asked:
            if isinstance(need, Findings):
                self._findings[need] = self._find(need.span)
        balances = [need for need in asked if isinstance(need, Credits)]
        if balances:
            self._credits = self._read_credits(_whole(balances))

    # ── Answers ──

    def usage(self, need: Usage) -> _ByModel:
        return self._usage[need.interval, need.by_model, need.subject.dimension].get(need.subject.value, {})

    def tokens(self, need: UsualHours) -> dict[dt.datetime, int]:
        return self._tokens[need.subject.dimension].get(need.subject.value, {})

    def latencies(self, need: Latencies) -> dict[dt.datetime, tuple[int | None, int]]:
        return self._latencies[need.interval, need.subject.dimension].get(need.subject.value, {})

    def refusals(self, need: Refusals) -> dict[dt.datetime, int]:
        found: dict[dt.datetime, int] = defaultdict(int)
        for one in self._refusals:
            if need.subject.dimension == "" or getattr(one, need.subject.dimension) == need.subject.value:
                found[one.quarter] += one.count
        return found

    def contract(self, _: Allowances) -> Contract | None:
        return self._contract

    def findings(self, need: Findings) -> list[Seen]:
        return self._findings[need]

    def credits(self, need: Credits) -> list[tuple[dt.datetime, int]]:
        return [one for one in self._credits if need.span.start <= one[0] <= need.span.end]

    # ── Questions ──

    def _find(self, span: Span) -> list[Seen]:
        if self._is_live:
            return [Seen(self.at, tuple(detect(self.organization, self.at)))]
        return detect_past(self.organization, span.start, span.end)

    def _read_usage(
        self, interval: Interval, by_model: bool, dimension: str, needs: Sequence[Usage]
    ) -> dict[_Value, _ByModel]:
        found: dict[_Value, _ByModel] = {}
        for result in self._ask(interval, by_model, [need.subject for need in needs], _whole(needs)):
            for row in result.rows:
                model = row.group["model"].key or "" if by_model else ""
                of_value = found.setdefault(_value(dimension, row), {})
                of_value.setdefault(model, {})[row.start] = row.figures
        return found

    def _read_hours(self, dimension: str, needs: Sequence[UsualHours]) -> dict[_Value, dict[dt.datetime, int]]:
        span, subjects = _whole(needs), [need.subject for need in needs]
        key = f"alerts:hours:{self.organization.pk}:{_digest(self.zone.key, span, subjects)}"
        kept = cache.get(key) if self._is_live else None
        if kept is not None:
            return msgspec.msgpack.decode(kept, type=dict[_Value, dict[dt.datetime, int]], strict=False)
        found: dict[_Value, dict[dt.datetime, int]] = {}
        for result in self._ask("hour", False, subjects, span):
            for row in result.rows:
                found.setdefault(_value(dimension, row), {})[row.start] = row.figures.total_tokens
        if self._is_live:
            cache.set(key, msgspec.msgpack.encode(found), KEPT_SECONDS)
        return found

    def _read_latencies(
        self, interval: Interval, dimension: str, needs: Sequence[Latencies]
    ) -> dict[_Value, dict[dt.datetime, tuple[int | None, int]]]:
        found: dict[_Value, dict[dt.datetime, tuple[int | None, int]]] = {}
        for result in self._ask(interval, False, [need.subject for need in needs], _whole(needs)):
            latencies = read_latencies(result)
            for row in result.rows:
                one = latencies.of(row)
                of_value = found.setdefault(_value(dimension, row), {})
                of_value[row.start] = (one.percentile_ms("duration", 95), one.durations.total())
        return found

    def _ask(
        self, interval: Interval, by_model: bool, subjects: Sequence[Subject], span: Span
    ) -> Iterator[UsageResult]:
        """In as few answers as the query's bound on buckets allows."""
        dimension = subjects[0].dimension
        own = (dimension,) if dimension else ()
        # A filter by the dimension itself, so that a model's rule divides nothing twice.
        groups = (*own, *(("model",) if by_model and dimension != "model" else ()))
        values = tuple(sorted({one.value for one in subjects}, key=str))
        for start, end in _pieces(span, dt.timedelta(days=LONGEST[interval])):
            yield run(
                UsageQuery(
                    self.organization.pk,
                    start,
                    end,
                    self.zone,
                    interval,
                    group_by=groups,
                    filters={dimension: values} if dimension else {},
                )
            )

    def _read_credits(self, span: Span) -> list[tuple[dt.datetime, int]]:
        """What is left at this moment, and for the past what was behind each entry of the ledger: live, what was bought
        again at once has never been low. Nothing where there never were credits."""
        if not Wallet.objects.exists() or not CreditEntry.objects.exists():
            return []
        left = (self.at, settlement.standing(self.organization, self.at).available)
        if self._is_live:
            return [left]
        entries = CreditEntry.objects.filter(recorded_at__gte=span.start, recorded_at__lt=self.at).order_by("number")
        behind = [(one.recorded_at, one.balance_nanos) for one in entries]
        return [*behind, left]


def _whole(
    needs: Sequence[Usage] | Sequence[UsualHours] | Sequence[Latencies] | Sequence[Refusals] | Sequence[Credits],
) -> Span:
    return Span(min(need.span.start for need in needs), max(need.span.end for need in needs))


def _pieces(span: Span, longest: dt.timedelta) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    start = span.start
    while start < span.end:
        end = min(span.end, start + longest)
        yield start, end
        start = end


def _value(dimension: str, row: UsageRow) -> _Value:
    """As a rule names it: texts by themselves, entities by their id."""
    if not dimension:
        return 0
    group = row.group[dimension]
    if dimension in TEXT_SCOPES:
        return group.key or ""
    return group.ref if isinstance(group.ref, int) else 0


def _digest(*said: object) -> str:
    return hashlib.blake2b(msgspec.msgpack.encode(said), digest_size=12).hexdigest()
