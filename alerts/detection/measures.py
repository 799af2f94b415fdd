"""What is judged of usage, from where on it is enough to judge, and what difference is worth a word."""

from __future__ import annotations

import enum


class Measure(enum.StrEnum):
    TOKENS = "tokens"
    COST = "cost"
    REQUESTS = "requests"
    ERRORS = "errors"


# Of an hour. Cost in nano-dollars; errors have rules of their own (error_rates.py).
MINIMUM: dict[Measure, int] = {Measure.TOKENS: 10_000, Measure.COST: 100_000_000, Measure.REQUESTS: 20}
# A smaller difference from what was expected does not matter, nor one below MATERIAL_SHARE of the usual hour.
MATERIAL: dict[Measure, int] = {Measure.TOKENS: 50_000, Measure.COST: 1_000_000_000, Measure.REQUESTS: 50}
