"""What if: other growth, calls of one model made to another, other prices. The address says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from core.errors import ApiError

# Parameter → its least and greatest value, and what it is unless given; percent, whole.
PERCENTS: dict[str, tuple[int, int, int]] = {
    "growth": (-90, 300, 0),
    "share": (0, 100, 100),
    "change": (-90, 300, 0),
    "headroom": (0, 100, 20),
}
ENDS = ("likely", "high")
_END_UNLESS_GIVEN = "likely"
PROVIDER, MODEL = "provider:", "model:"
LONGEST = 200


class Scenario(msgspec.Struct, frozen=True):
    """`share` percent of the calls of `model` are made to `to`; `price` of a provider or model ("provider:openai",
    "model:gpt-4o") changes by `change` percent; then everything grows by `growth` percent. A budget is the forecast's
    `end`, and `headroom` percent more.
    """

    growth: int = 0
    model: str = ""
    to: str = ""
    share: int = 100
    price: str = ""
    change: int = 0
    end: str = _END_UNLESS_GIVEN
    headroom: int = PERCENTS["headroom"][2]

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Scenario:
        """Raises ApiError 422 for what is no number, out of bounds or too long."""
        values: dict[str, Any] = {name: _percent(name, given.get(name)) for name in PERCENTS}
        for name in ("model", "to", "price"):
            text = (given.get(name) or "").strip()
            if len(text) > LONGEST or "\0" in text:
                raise ApiError(422, "invalid_parameter", f"{name} is too long or unreadable.", param=name)
            values[name] = text
        values["end"] = given.get("end") or _END_UNLESS_GIVEN
        if values["end"] not in ENDS:
            raise ApiError(422, "invalid_parameter", f"end is one of {', '.join(ENDS)}.", param="end")
        if values["price"] and not values["price"].startswith((PROVIDER, MODEL)):
            text = "price is provider: or model: and a name, such as provider:openai."
            raise ApiError(422, "invalid_parameter", text, param="price")
        return cls(**values)

    @property
    def is_switch(self) -> bool:
        return bool(self.model and self.to and self.share)

    @property
    def is_repriced(self) -> bool:
        return bool(self.price and self.change)

    @property
    def is_changed(self) -> bool:
        return bool(self.growth) or self.is_switch or self.is_repriced

    def concerns(self, model: str | None, provider: str | None) -> bool:
        """Whether the change of a price is of this model's at this provider."""
        if not self.is_repriced:
            return False
        if self.price.startswith(PROVIDER):
            return provider == self.price.removeprefix(PROVIDER)
        return model == self.price.removeprefix(MODEL)

    def query(self, **changes: Any) -> str:
        """As an address's parameters, without those that are as usual."""
        usual = Scenario()
        given = msgspec.structs.asdict(msgspec.structs.replace(self, **changes))
        return urlencode({name: value for name, value in given.items() if value != getattr(usual, name)})


def _percent(name: str, text: str | None) -> int:
    least, most, usual = PERCENTS[name]
    if text in (None, ""):
        return usual
    digits = str(text).removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 4 and least <= int(str(text)) <= most):
        raise ApiError(422, "invalid_parameter", f"{name} is a whole number from {least} to {most}.", param=name)
    return int(str(text))
