"""GPUs by the hour, as a price to compare with: assumptions that anybody can change, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import msgspec

from core.money import FEMTOS_PER_NANO, NANOS_PER_USD, usd_text
from metering.query.spec import refusal

HOUR, INPUT_RATE, OUTPUT_RATE, COUNT = (
    "gpu_hour_usd", "gpu_input_tokens_per_second", "gpu_output_tokens_per_second", "gpus",
)  # fmt: skip
PARAMETERS = (HOUR, INPUT_RATE, OUTPUT_RATE, COUNT)
# One rented H100 with a model of some 70 billion parameters, batches kept full.
DEFAULTS = {HOUR: "2.50", INPUT_RATE: "8000", OUTPUT_RATE: "1500", COUNT: "1"}
LARGEST = {INPUT_RATE: 100_000_000, OUTPUT_RATE: 100_000_000, COUNT: 10_000}


class Gpus(msgspec.Struct, frozen=True):
    """`gpus` of them together read `input_rate` and write `output_rate` tokens a second; `hour_nanos` is for each."""

    hour_nanos: int
    input_rate: int
    output_rate: int
    gpus: int

    @classmethod
    def read(cls, given: Mapping[str, str | None]) -> Gpus:
        """By the names of PARAMETERS; what is not given is as in DEFAULTS. Raises ApiError 422."""
        hour = nanos_per_hour(given.get(HOUR) or DEFAULTS[HOUR])
        if hour is None:
            raise refusal(f"{HOUR} is dollars from 0.01 to 10000, such as 2.50.", HOUR)
        return cls(hour, *(_whole(given, name) for name in (INPUT_RATE, OUTPUT_RATE, COUNT)))

    def written(self) -> dict[str, str]:
        """As an address has it."""
        return {
            HOUR: usd_text(self.hour_nanos) or "",
            INPUT_RATE: str(self.input_rate),
            OUTPUT_RATE: str(self.output_rate),
            COUNT: str(self.gpus),
        }

    def busy_hours(self, prompt_tokens: int, completion_tokens: int) -> Fraction:
        seconds = Fraction(prompt_tokens, self.input_rate) + Fraction(completion_tokens, self.output_rate)
        return seconds / 3600

    def cost_femtos(self, hours: Fraction) -> int:
        """Of that many hours of all GPUs, to the nearest femto-dollar."""
        return round(hours * self.gpus * self.hour_nanos * FEMTOS_PER_NANO)


def _whole(given: Mapping[str, str | None], name: str) -> int:
    text = given.get(name) or DEFAULTS[name]
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= LARGEST[name]):
        raise refusal(f"{name} is a whole number from 1 to {LARGEST[name]:,}.", name)
    return int(text)


def nanos_per_hour(usd: str) -> int | None:
    """A price of one GPU-hour as people type it; None for what is no price from 0.01 to 10,000 dollars."""
    whole, _, cents = usd.strip().partition(".")
    is_plain = all(part.isascii() and part.isdigit() for part in (whole, cents or "0"))
    if not is_plain or len(whole) > 5 or len(cents) > 4:
        return None
    nanos = int(whole) * NANOS_PER_USD + int((cents or "0").ljust(9, "0"))
    return nanos if NANOS_PER_USD // 100 <= nanos <= 10_000 * NANOS_PER_USD else None
