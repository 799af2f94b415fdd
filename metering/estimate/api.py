"""POST /v1/estimate: tokens and cost of a call that has not been made."""

from __future__ import annotations

import asyncio
import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from accounts.models import Scope
from core.money import usd_text
from metering.door import granted, json_response, recorder
from metering.estimate.count import Count, Prompt
from metering.estimate.document import EstimateDocument, read
from metering.estimate.quote import Quote, default_output, quote
from metering.events import MAX_COUNT

# Of their own, so that long texts keep nobody waiting but each other.
_COUNTING = ThreadPoolExecutor(2, thread_name_prefix="estimate")


async def estimate(request: Request) -> Response:
    grant = await granted(request, Scope.GATEWAY, Scope.USAGE_WRITE, Scope.USAGE_READ)
    ledger = recorder(request)
    async with ledger.intake.take(request) as body:
        document = read(body)
        names = dict.fromkeys([document.model, *document.models])
        loop = asyncio.get_running_loop()
        counts = await loop.run_in_executor(_COUNTING, _count_all, document, list(names))
    book = await ledger.keyring.prices()
    now = dt.datetime.now(dt.UTC)
    quotes = []
    for model, count in zip(names, counts, strict=True):
        output = document.max_output_tokens
        provider = document.provider if model == document.model else None
        output = default_output(model) if output is None else output
        quotes.append(quote(book, grant.organization_id, count, output, now, model=model, provider=provider))
    answer = _written(quotes[0])
    if document.models:
        answer["models"] = [_written(one) for one in quotes if one.model in document.models]
    return json_response(answer)


def _count_all(document: EstimateDocument, models: list[str]) -> list[Count]:
    if document.input_tokens is not None:
        return [Count(document.input_tokens, "given", is_exact=True)] * len(models)
    prompt = Prompt(text=document.text, messages=document.messages, system=document.system, tools=document.tools)
    return [prompt.count(model, document.provider if model == document.model else None) for model in models]


def _written(quoted: Quote) -> dict[str, Any]:
    return {
        "model": quoted.model,
        "provider": quoted.provider,
        "input_tokens": min(quoted.count.tokens, MAX_COUNT),
        "max_output_tokens": quoted.output_tokens,
        "cost_usd": usd_text(quoted.cost_nanos),
        "input_cost_usd": usd_text(quoted.input_cost_nanos),
        "output_cost_usd": usd_text(quoted.output_cost_nanos),
        "price_rule": quoted.rule,
        "tokenizer": quoted.count.tokenizer,
        "is_exact": quoted.count.is_exact,
    }
