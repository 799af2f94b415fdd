"""What became of a file's rows, counted while they pass."""

from __future__ import annotations

import datetime as dt

import msgspec

from metering.pipeline import Rated
from metering.pricing.rate import Pricing
from metering.store.base import Outcome, StoredEvent

MOST_MODELS = 200
MOST_REASONS = 20
OTHERS = "(others)"
_STATES = {Pricing.PRICED: "priced", Pricing.FREE: "free", Pricing.UNPRICED: "unpriced"}


class Part(msgspec.Struct):
    """Calls of one kind. `known_cost_nanos` leaves out the unpriced ones."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    known_cost_nanos: int = 0
    unpriced_requests: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def cost_nanos(self) -> int | None:
        """None when there were calls and none has a price: unknown, not 0."""
        return None if self.requests and self.unpriced_requests == self.requests else self.known_cost_nanos

    def add(self, prompt: int, completion: int, cost_nanos: int | None) -> None:
        self.requests += 1
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        self.known_cost_nanos += cost_nanos or 0
        self.unpriced_requests += cost_nanos is None


class Tally(msgspec.Struct):
    """Rows by outcome, and the calls that were created (or would be) by pricing state and by model.

    A row that sums up several calls counts once among `rows` and once a call in `created` and `duplicates`.
    """

    rows: int = 0
    skipped: int = 0
    created: int = 0
    duplicates: int = 0
    conflicts: int = 0
    invalid: int = 0
    # Rows of batches the database refused.
    failed: int = 0
    total: Part = msgspec.field(default_factory=Part)
    by_pricing: dict[str, Part] = msgspec.field(default_factory=lambda: {state: Part() for state in _STATES.values()})
    estimated_requests: int = 0
    by_model: dict[str, Part] = msgspec.field(default_factory=dict)
    # Why calls have no price, and how many of each.
    unpriced_reasons: dict[str, int] = msgspec.field(default_factory=dict)
    first_at: dt.datetime | None = None
    last_at: dt.datetime | None = None

    @property
    def problems(self) -> int:
        """Rows that are not in the ledger as the file has them."""
        return self.conflicts + self.invalid + self.failed

    def add(self, model: str, occurred_at: dt.datetime, rated: Rated) -> None:
        outcome = rated.outcome
        if outcome is Outcome.DUPLICATE:
            self.duplicates += 1
        elif outcome is Outcome.CONFLICT:
            self.conflicts += 1
        elif outcome is Outcome.INVALID or rated.row is None:
            self.invalid += 1
        else:
            self.created += 1
            self._add_created(model, occurred_at, rated.row)

    def _add_created(self, model: str, occurred_at: dt.datetime, row: StoredEvent) -> None:
        prompt = (
            row.input + row.cache_read + row.cache_write_5m + row.cache_write_1h + row.audio_input + row.image_input
        )
        completion = row.output + row.reasoning + row.audio_output + row.image_output
        name = model if model in self.by_model or len(self.by_model) < MOST_MODELS else OTHERS
        for part in (
            self.total,
            self.by_pricing[_STATES[Pricing(row.pricing)]],
            self.by_model.setdefault(name, Part()),
        ):
            part.add(prompt, completion, row.cost_nanos)
        self.estimated_requests += row.is_estimated
        if row.pricing == Pricing.UNPRICED:
            is_known = row.price_rule in self.unpriced_reasons or len(self.unpriced_reasons) < MOST_REASONS
            reason = row.price_rule if is_known else OTHERS
            self.unpriced_reasons[reason] = self.unpriced_reasons.get(reason, 0) + 1
        if self.first_at is None or occurred_at < self.first_at:
            self.first_at = occurred_at
        if self.last_at is None or occurred_at > self.last_at:
            self.last_at = occurred_at


class RowProblem(msgspec.Struct, frozen=True):
    """Why a row is not in the ledger as the file has it."""

    row: int
    code: str
    message: str
    field: str | None = None
    column: str | None = None
    value: str | None = None

    @property
    def where(self) -> str:
        if self.column and self.field and self.column != self.field:
            return f"{self.column} → {self.field}"
        return self.column or self.field or ""
