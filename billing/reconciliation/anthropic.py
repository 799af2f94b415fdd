"""Exports of Anthropic: CSV of the console, pages of `/v1/organizations/usage_report/messages` and `/cost_report`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from billing.reconciliation.statement import DAY, Stated, StatementError, instant, nanos, whole

PROVIDER = "anthropic"
_TOKENS = (
    "usage_input_tokens_no_cache",
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
    "usage_input_tokens_cache_read",
    "usage_output_tokens",
)
_CENTS = 100


def is_csv(columns: frozenset[str]) -> bool:
    return "usage_date_utc" in columns and bool({"cost_usd", "usage_output_tokens"} & columns)


def from_csv(rows: Iterable[Mapping[str, str]]) -> Iterable[Stated]:
    for number, row in enumerate(rows, start=2):
        where = f"Line {number}"
        start = instant(row["usage_date_utc"], where)
        model = row.get("model_version") or row.get("model") or ""
        if "cost_usd" in row:
            item = row.get("token_type") or row.get("cost_type") or ""
            yield Stated(start, start + DAY, model, item, cost_nanos=nanos(row["cost_usd"], where))
        else:
            yield Stated(start, start + DAY, model, tokens=sum(whole(row.get(name), where) for name in _TOKENS))


def is_json(document: Mapping[str, Any]) -> bool:
    data = document.get("data")
    return isinstance(data, list) and any(isinstance(part, dict) and "starting_at" in part for part in data)


def from_json(document: Mapping[str, Any]) -> Iterable[Stated]:
    """Costs come in cents, as decimal texts."""
    for number, bucket in enumerate(document["data"], start=1):
        where = f"Bucket {number}"
        start, end = instant(bucket.get("starting_at"), where), instant(bucket.get("ending_at"), where)
        for result in bucket.get("results") or []:
            model = result.get("model") or ""
            if "amount" in result:
                if str(result.get("currency", "USD")).upper() != "USD":
                    raise StatementError(f"{where} is in {result['currency']}: only dollars can be compared.")
                item = result.get("description") or result.get("cost_type") or ""
                yield Stated(start, end, model, item, cost_nanos=nanos(result["amount"], where, per_usd=_CENTS))
                continue
            if not model:
                raise StatementError(f"{where} does not say the model: export the usage grouped by model.")
            yield Stated(start, end, model, tokens=_tokens(result, where))


def _tokens(result: Mapping[str, Any], where: str) -> int:
    written = result.get("cache_creation") or {}
    return sum(
        whole(part, where)
        for part in (
            result.get("uncached_input_tokens"),
            written.get("ephemeral_5m_input_tokens"),
            written.get("ephemeral_1h_input_tokens"),
            result.get("cache_read_input_tokens"),
            result.get("output_tokens"),
        )
    )
