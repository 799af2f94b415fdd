"""Exports of OpenAI: CSV of the usage dashboard, pages of `/v1/organization/usage/*` and `/v1/organization/costs`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from billing.reconciliation.statement import Stated, StatementError, instant, nanos, whole

PROVIDER = "openai"


def is_csv(columns: frozenset[str]) -> bool:
    return {"start_time", "end_time"} <= columns and bool({"amount_value", "num_model_requests"} & columns)


def from_csv(rows: Iterable[Mapping[str, str]]) -> Iterable[Stated]:
    """`input_tokens` holds the cached ones already, as in OpenAI's answers."""
    for number, row in enumerate(rows, start=2):
        where = f"Line {number}"
        start, end = instant(row["start_time"], where), instant(row["end_time"], where)
        if "amount_value" in row:
            yield _cost(
                start, end, row.get("line_item", ""), row["amount_value"], row.get("amount_currency", ""), where
            )
        elif row.get("model"):
            yield Stated(
                start,
                end,
                row["model"],
                requests=whole(row["num_model_requests"], where),
                tokens=whole(row.get("input_tokens"), where) + whole(row.get("output_tokens"), where),
            )


def is_json(document: Mapping[str, Any]) -> bool:
    return any(isinstance(part, dict) and part.get("object") == "bucket" for part in _data(document))


def from_json(document: Mapping[str, Any]) -> Iterable[Stated]:
    for number, bucket in enumerate(_data(document), start=1):
        where = f"Bucket {number}"
        start, end = instant(bucket.get("start_time"), where), instant(bucket.get("end_time"), where)
        for result in bucket.get("results") or bucket.get("result") or []:
            if "amount" in result:
                amount = result["amount"] or {}
                yield _cost(
                    start, end, result.get("line_item") or "", amount.get("value"), amount.get("currency", ""), where
                )
            else:
                model = result.get("model")
                if not model:
                    raise StatementError(f"{where} does not say the model: export the usage grouped by model.")
                tokens = whole(result.get("input_tokens"), where) + whole(result.get("output_tokens"), where)
                yield Stated(start, end, model, requests=whole(result.get("num_model_requests"), where), tokens=tokens)


def _data(document: Mapping[str, Any]) -> list[Any]:
    data = document.get("data")
    return data if isinstance(data, list) else []


def _cost(start: Any, end: Any, item: str, value: object, currency: str, where: str) -> Stated:
    if currency and currency.lower() != "usd":
        raise StatementError(f"{where} is in {currency.upper()}: only dollars can be compared.")
    # "gpt-4o-2024-08-06, input": the model stands before the kind of token; "web search tool calls" has none.
    model = item.partition(", ")[0] if ", " in item else ""
    return Stated(start, end, model, item, cost_nanos=nanos(value, where))
