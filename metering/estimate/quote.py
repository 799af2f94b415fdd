"""What a call will cost: its tokens at the prices of now, before it is made."""

from __future__ import annotations

import datetime as dt

import msgspec

from metering.estimate.count import Count
from metering.estimate.request import DEFAULT_OUTPUT_TOKENS
from metering.estimate.tokenizers import maker_of
from metering.events import Usage
from metering.pricing.book import PriceBook
from metering.pricing.rate import Pricing


class Quote(msgspec.Struct, frozen=True):
    """Tokens and cost of one call of one model. Costs are nano-dollars, None when unpriced.

    `rule` says how the price was found, or why there is none.
    """

    model: str
    provider: str | None
    count: Count
    output_tokens: int
    cost_nanos: int | None
    input_cost_nanos: int | None
    output_cost_nanos: int | None
    rule: str

    @property
    def tokens(self) -> int:
        return self.count.tokens + self.output_tokens


def quote(
    book: PriceBook,
    organization_id: int,
    count: Count,
    output_tokens: int,
    at: dt.datetime,
    *,
    model: str,
    provider: str | None = None,
) -> Quote:
    """The cost of `count` tokens of input and so many of output, at the organization's prices of a moment.

    Without a provider a model is priced as its maker sells it, when others sell it too.
    """
    usage = Usage(input=count.tokens, output=output_tokens)
    rating = book.rate(organization_id, provider=provider, model=model, occurred_at=at, usage=usage)
    maker = maker_of(model)
    if rating.pricing is Pricing.UNPRICED and provider is None and maker is not None:
        # Several sell it, and nobody says who will be asked.
        rating = book.rate(organization_id, provider=maker, model=model, occurred_at=at, usage=usage)
    return Quote(
        model, provider, count, output_tokens,
        rating.cost_nanos, rating.input_cost_nanos, rating.output_cost_nanos, rating.rule,
    )  # fmt: skip


def default_output(model: str) -> int:
    """Tokens of output where nobody says how many: none of an embedding."""
    return 0 if "embed" in model.lower() else DEFAULT_OUTPUT_TOKENS
