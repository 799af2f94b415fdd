"""What a period comes to: fees by days, usage over the allowance by the very events, late usage of periods before.

Everything is exact, in nano-dollars, and the same whenever it is asked for the same instant.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from billing.contracts import Contract, Fee
from billing.models import ClosedPeriod, LineKind
from billing.periods import Period
from core.money import apportion, minor_units_from_nanos, nanos_from_minor_units, whole_minor_units
from core.periods import UTC, day_start
from metering.query.beyond import beyond
from metering.query.billed import Billed, BilledModel, Manifest, billed
from metering.query.billed_so_far import billed_so_far
from metering.query.costs import CostLine
from metering.query.run import run
from metering.query.spec import UsageQuery

# For how long after its end late usage of a period is charged.
LATE_FOR = dt.timedelta(days=400)
# Counted in milliseconds, charged by the hour.
_BY_THE_HOUR = ("media_hours", "gpu_hours")
_NAMES = {
    "input": "input", "cache_read": "cache read", "cache_write_5m": "cache write, 5 min",
    "cache_write_1h": "cache write, 1 h", "output": "output", "reasoning": "reasoning", "audio_input": "audio in",
    "audio_output": "audio out", "image_input": "images in", "image_output": "images out", "images": "images",
    "web_searches": "web searches", "requests": "requests", "media_hours": "seconds of media", "gpu_hours": "seconds",
}  # fmt: skip


class Charge(msgspec.Struct, frozen=True):
    """`nanos` is what it is worth. Priced by `femtos_per_unit` each `quantity`, or by `words`."""

    kind: LineKind
    description: str
    nanos: int
    quantity: int = 1
    femtos_per_unit: int | None = None
    words: str = ""
    model: str = ""
    provider: str = ""
    bucket: str = ""
    about: dt.date | None = None
    manifest: Manifest | None = None


class Usage(msgspec.Struct, frozen=True):
    """A period's usage as of an instant. Without `charged_from` nothing over an allowance is charged."""

    used: int
    charged_from: dt.date | None
    included: int | None
    over: Manifest
    models: tuple[BilledModel, ...] = ()


class Late(msgspec.Struct, frozen=True):
    """What a closed period comes to now, all its tokens and those that are charged, beside what was charged so far."""

    closed: ClosedPeriod
    used: int
    over: Manifest

    @property
    def tokens(self) -> int:
        return self.over.tokens - self.closed.over_tokens

    @property
    def nanos(self) -> int:
        return self.over.cost_nanos - self.closed.over_nanos


# ── Usage ──


def usage_of(contract: Contract, period: Period, as_of: dt.datetime) -> Usage:
    """Reads every event of the period once where something over the allowance is charged."""
    end = period.instants(contract.zone)[1]
    return _usage(contract, period, end, partial(_as_of, contract, as_of))


def usage_so_far(contract: Contract, period: Period, at: dt.datetime) -> Usage:
    """The same lines and sums by all that is there now of the time up to `at`, from roll-ups; without hashes."""
    start, end = period.instants(contract.zone)
    return _usage(contract, period, max(start, min(end, at.astimezone(UTC))), partial(_so_far, contract))


# What of [start, end) is beyond an allowance.
Reader = Callable[[dt.datetime, dt.datetime, int], Billed]


def _as_of(contract: Contract, as_of: dt.datetime, start: dt.datetime, end: dt.datetime, allowance: int) -> Billed:
    return billed(contract.organization_id, start, end, allowance, as_of)


def _so_far(contract: Contract, start: dt.datetime, end: dt.datetime, allowance: int) -> Billed:
    return billed_so_far(contract.organization_id, start, end, contract.zone, allowance)


def _usage(contract: Contract, period: Period, end: dt.datetime, read: Reader) -> Usage:
    start, organization_id = period.instants(contract.zone)[0], contract.organization_id
    if end <= start:
        return Usage(0, None, None, Manifest())
    used = run(UsageQuery(organization_id, start, end, contract.zone)).totals.total_tokens
    charged_from, allowance = contract.charged_from(period), contract.allowance(period)
    if charged_from is None or allowance is None:
        return Usage(used, None, None, Manifest())
    begins, included = day_start(charged_from, contract.zone), allowance
    if begins >= end:
        return Usage(used, None, None, Manifest())
    if begins > start:
        included = max(0, allowance - read(start, begins, 0).used)
    found = read(begins, end, included)
    return Usage(found.used, charged_from, included, found.manifest, found.models)


def late_usage(contract: Contract, before: dt.date, as_of: dt.datetime) -> list[Late]:
    """Closed periods that come to something else by now, oldest first. Needs the organization's scope."""
    found = []
    for closed in last_revisions(before - LATE_FOR, before):
        # Of the same instant it is the same.
        if closed.charged_from is None or closed.included_tokens is None or closed.as_of >= as_of:
            continue
        start, end = day_start(closed.charged_from, contract.zone), day_start(closed.ends_on, contract.zone)
        now = billed(contract.organization_id, start, end, closed.included_tokens, as_of)
        if now.manifest.digest != closed.over_digest:
            found.append(Late(closed, now.used, now.manifest))
    return found


def late_so_far(contract: Contract, before: dt.date) -> list[Late]:
    """The same by all that is there now, from roll-ups: those that come to another sum. Without hashes."""
    charged = [
        (closed, closed.included_tokens, day_start(closed.charged_from, contract.zone))
        for closed in last_revisions(before - LATE_FOR, before)
        if closed.charged_from is not None and closed.included_tokens is not None
    ]
    if not charged:
        return []
    zone, last = contract.zone, day_start(charged[-1][0].ends_on, contract.zone)
    days = run(UsageQuery(contract.organization_id, charged[0][2], last, zone, interval="day")).rows
    found = []
    for closed, included, start in charged:
        end = day_start(closed.ends_on, zone)
        used = sum(day.figures.total_tokens for day in days if start <= day.start < end)
        # Nothing beyond the allowance, then and now: no need to look for the event that crosses it.
        if max(used, closed.used_tokens) <= included:
            continue
        now = beyond(contract.organization_id, start, end, zone, included)
        over = Manifest(now.figures.requests, now.figures.total_tokens, now.figures.known_cost_nanos)
        late = Late(closed, now.used, over)
        if late.tokens or late.nanos:
            found.append(late)
    return found


def last_revisions(since: dt.date, before: dt.date) -> Sequence[ClosedPeriod]:
    """How periods that began in [since, before) stood when they were last charged."""
    rows = ClosedPeriod.objects.filter(starts_on__gte=since, starts_on__lt=before)
    return list(rows.order_by("starts_on", "-revision").distinct("starts_on").select_related("invoice"))


# ── Charges ──


def charges_of(contract: Contract, period: Period, usage: Usage, late: Sequence[Late]) -> list[Charge]:
    charges = [_fee(fee, period) for fee in contract.fees(period)]
    if included := min(usage.used, usage.included or 0):
        charges.append(Charge(LineKind.INCLUDED, "Tokens included", 0, included, words="included"))
    for model in usage.models:
        charges += _of_model(model)
    charges += [_late(one) for one in late]
    return charges


def discounted(charges: Sequence[Charge], room_nanos: int) -> list[Charge]:
    """With promotional credits taken off, if there are any: in whole cents, at most what the lines come to."""
    lines = sum(minor_units_from_nanos(charge.nanos) for charge in charges)
    cents = min(lines, whole_minor_units(room_nanos))
    if cents <= 0:
        return list(charges)
    return [
        *charges,
        Charge(LineKind.CREDITS, "Promotional credits", -nanos_from_minor_units(cents), words="taken off before tax"),
    ]


def _fee(fee: Fee, period: Period) -> Charge:
    segment, name = fee.stay.segment, fee.stay.version.name
    is_whole = (segment.starts_on, segment.ends_on) == (period.starts_on, period.ends_on)
    last = segment.ends_on - dt.timedelta(days=1)
    days = "" if is_whole else f", {segment.starts_on.isoformat()} to {last.isoformat()}"
    return Charge(LineKind.FEE, f"{name} plan{days}", fee.nanos)


def _of_model(model: BilledModel) -> list[Charge]:
    """A line for each bucket and rate. The calls' rounded costs are divided by the exact amounts, to the last nano."""
    name = model.costs.model.label or "none"
    lines = [line for line in model.costs.lines if line.amount_femtos]
    if not lines:
        return []
    parts = apportion(model.manifest.cost_nanos, [line.amount_femtos or 0 for line in lines])
    return [_of_line(line, nanos, name, model) for line, nanos in zip(lines, parts, strict=True)]


def _of_line(line: CostLine, nanos: int, name: str, model: BilledModel) -> Charge:
    is_by_the_hour = line.bucket in _BY_THE_HOUR
    return Charge(
        LineKind.TOOL if line.kind == "tools" else LineKind.USAGE,
        name,
        nanos,
        line.count // 1000 if is_by_the_hour else line.count,
        None if is_by_the_hour else line.femtos_per_unit,
        "by the hour" if is_by_the_hour else "",
        name,
        model.costs.provider.label or "",
        _bucket_words(line),
        manifest=model.manifest,
    )


def _bucket_words(line: CostLine) -> str:
    words = _NAMES.get(line.bucket, line.bucket.replace("_", " "))
    conditions = [line.tier] if line.tier else []
    if line.above_tokens:
        conditions.append(f"above {line.above_tokens // 1000}K")
    return f"{words} ({', '.join(conditions)})" if conditions else words


def _late(late: Late) -> Charge:
    closed = late.closed
    number = f" ({closed.invoice.number})" if closed.invoice is not None else ""
    return Charge(
        LineKind.LATE,
        f"Late usage of {closed.starts_on:%B %Y}{number}",
        late.nanos,
        late.tokens,
        words="as rated",
        about=closed.starts_on,
        manifest=late.over,
    )
