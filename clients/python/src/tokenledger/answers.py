"""What the server answers, typed. Money is Decimal dollars, None is unknown, times carry their offset.

What a newer server adds is ignored; what an older one lacks is None where it may be.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Optional, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from tokenledger.errors import ConnectionFailed

T = TypeVar("T")


@dataclass(frozen=True)
class CoveragePart:
    events: int
    tokens: int


@dataclass(frozen=True)
class Coverage:
    """How much of the usage has a price; `unknown_events` are those whose provider did not say what was used."""

    priced: CoveragePart
    free: CoveragePart
    estimated: CoveragePart
    unpriced: CoveragePart
    unknown_events: Optional[int] = None


@dataclass(frozen=True)
class Allowance:
    """In tokens. `limit` None is unlimited."""

    limit: Optional[int]
    used: int
    remaining: Optional[int]
    percent: Optional[float]
    overage_tokens: int


@dataclass(frozen=True)
class UsageDay:
    date: dt.date
    requests: int
    tokens: int
    credits: Optional[int]
    cost_usd: Optional[Decimal]


@dataclass(frozen=True)
class Usage:
    """`period_end` is the last second of the period; days are newest first."""

    period_start: dt.datetime
    period_end: dt.datetime
    total_requests: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    total_cost_usd: Optional[Decimal]
    total_credits_used: Optional[int]
    credits_remaining: Optional[int]
    allowance: Allowance
    daily_breakdown: list[UsageDay]
    coverage: Coverage


@dataclass(frozen=True)
class ModelUsage:
    """`percentage` is of all tokens."""

    model: str
    provider: Optional[str]
    requests: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    credits_used: Optional[int]
    cost_usd: Optional[Decimal]
    percentage: Optional[float]


@dataclass(frozen=True)
class Figures:
    """Sums over some usage. A metric that was not asked for is None, as is a cost of which nothing has a price."""

    requests: Optional[int] = None
    errors: Optional[int] = None
    prompt_tokens: Optional[int] = None
    completion_tokens: Optional[int] = None
    total_tokens: Optional[int] = None
    input: Optional[int] = None
    cache_read: Optional[int] = None
    cache_write_5m: Optional[int] = None
    cache_write_1h: Optional[int] = None
    output: Optional[int] = None
    reasoning: Optional[int] = None
    audio_input: Optional[int] = None
    audio_output: Optional[int] = None
    image_input: Optional[int] = None
    image_output: Optional[int] = None
    web_searches: Optional[int] = None
    images: Optional[int] = None
    seconds: Optional[float] = None
    cost_usd: Optional[Decimal] = None
    input_cost_usd: Optional[Decimal] = None
    output_cost_usd: Optional[Decimal] = None
    average_tokens: Optional[float] = None
    average_latency_ms: Optional[float] = None


@dataclass(frozen=True)
class _Row:
    start: dt.datetime
    end: dt.datetime
    group: Mapping[str, Optional[str]]
    labels: Mapping[str, Optional[str]]


@dataclass(frozen=True)
class UsageRow(Figures, _Row):
    """Usage in [start, end) of one group: dimension → value, None for "without"."""


@dataclass(frozen=True)
class UsageTable:
    """`totals` and `coverage` are of the whole range and all filters, however many rows were asked for."""

    rows: list[UsageRow]
    totals: Figures
    coverage: Coverage


@dataclass(frozen=True)
class EventChat:
    id: str
    title: Optional[str]


@dataclass(frozen=True)
class Buckets:
    """Disjoint counts of one call: tokens, then searches, images, and seconds of audio or video."""

    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    reasoning: int
    audio_input: int
    audio_output: int
    image_input: int
    image_output: int
    web_searches: int
    images: int
    seconds: float


@dataclass(frozen=True)
class Event:
    """A call as it is stored. `usage` None: the provider did not say, or it failed.

    `raw_usage` and `supersedes` are told of a single event, not in lists.
    """

    id: str
    occurred_at: dt.datetime
    received_at: dt.datetime
    model: str
    provider: Optional[str]
    endpoint: Optional[str]
    usage: Optional[Buckets]
    prompt_tokens: Optional[int]
    completion_tokens: Optional[int]
    total_tokens: Optional[int]
    user: Optional[str]
    member: Optional[str]
    project: Optional[str]
    team: Optional[str]
    department: Optional[str]
    api_key: Optional[str]
    chat: Optional[EventChat]
    message: Optional[Mapping[str, Any]]
    files: list[Mapping[str, Any]]
    feature: Optional[str]
    tool: Optional[str]
    integration: Optional[str]
    end_user: Optional[str]
    status: str
    error_code: Optional[str]
    duration_ms: Optional[int]
    time_to_first_token_ms: Optional[int]
    streamed: Optional[bool]
    finish_reason: Optional[str]
    service_tier: Optional[str]
    tags: Mapping[str, str]
    pricing: str
    is_estimated: bool
    cost_usd: Optional[Decimal]
    input_cost_usd: Optional[Decimal]
    output_cost_usd: Optional[Decimal]
    price_rule: Optional[str]
    price_version_id: Optional[int]
    superseded_by: Optional[str]
    raw_usage: Optional[Mapping[str, Any]] = None
    supersedes: Optional[str] = None


@dataclass(frozen=True)
class ReceiptVersion:
    id: int
    kind: str
    provider: str
    model: str
    source: str
    valid_from: dt.datetime
    valid_to: Optional[dt.datetime]


@dataclass(frozen=True)
class ReceiptLine:
    """`count` × `rate_usd` for `per` = `amount_usd`, exactly."""

    bucket: str
    count: int
    unit: str
    rate_usd: Decimal
    per: str
    amount_usd: Decimal
    charged_as: str
    note: str


@dataclass(frozen=True)
class Receipt:
    """How an event came to its cost. `exact_usd` is the sum of the lines before the cost was rounded."""

    event: str
    occurred_at: dt.datetime
    model: str
    provider: Optional[str]
    pricing: str
    rule: Optional[str]
    version: Optional[ReceiptVersion]
    lines: list[ReceiptLine]
    exact_usd: Optional[Decimal]
    cost_usd: Optional[Decimal]
    recomputed_usd: Optional[Decimal]
    is_reproduced: bool


@dataclass(frozen=True)
class _ChatHead:
    id: str
    title: Optional[str]
    first_at: dt.datetime
    last_at: dt.datetime


@dataclass(frozen=True)
class ChatUsage(Figures, _ChatHead):
    """A chat and the figures of its whole life."""


@dataclass(frozen=True)
class Estimate:
    """`is_exact`: whether `tokenizer` is the model's own. `cost_usd` None: the model has no known price.

    The output is `max_output_tokens`, or what the server takes for the model's usual one.
    """

    input_tokens: int
    max_output_tokens: Optional[int]
    cost_usd: Optional[Decimal]
    tokenizer: Optional[str]
    is_exact: bool
    input_cost_usd: Optional[Decimal] = None
    output_cost_usd: Optional[Decimal] = None


@dataclass(frozen=True)
class Page:
    """One page of a list as it is sent; queries add their totals."""

    data: list[Any]
    next_cursor: Optional[str] = None
    totals: Optional[Mapping[str, Any]] = None
    coverage: Optional[Mapping[str, Any]] = None


# ── Reading ──


def read(kind: type[T], value: Any) -> T:
    """An object of `kind` from decoded JSON. Raises ConnectionFailed when it is something else altogether."""
    try:
        return cast("T", _read(kind, value))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ConnectionFailed(f"the answer is no {kind.__name__}: {type(error).__name__} {error}") from error


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _read(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if origin is Union:
        return None if value is None else _read(get_args(kind)[0], value)
    if origin is list:
        return [_read(get_args(kind)[0], one) for one in value]
    if is_dataclass(kind):
        return _read_dataclass(kind, value)
    reader = _READERS.get(kind)
    return value if reader is None else reader(value)


def _read_dataclass(kind: Any, value: Mapping[str, Any]) -> Any:
    given = {name: _read(hint, value[name]) for name, hint in _hints(kind).items() if name in value}
    absent = {name: None for name, hint in _hints(kind).items() if name not in value and type(None) in get_args(hint)}
    return kind(**{**absent, **given})


def _instant(text: str) -> dt.datetime:
    # Before Python 3.11 fromisoformat knows no Z.
    return dt.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


_READERS: dict[Any, Any] = {dt.datetime: _instant, dt.date: dt.date.fromisoformat, Decimal: Decimal}
