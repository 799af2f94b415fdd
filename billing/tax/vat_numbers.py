"""Tax numbers of businesses: well-formed by their check digits, and confirmed by the Commission's register (VIES).

A number that is well-formed but that the register could not be asked about is not confirmed: tax is charged until it
is, because the seller owes the tax that was left out wrongly.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
from typing import Any, Protocol
from urllib import error, request

import msgspec
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError
from stdnum.gb import vat as gb_vat

from billing.tax.rates import EU

_TIMEOUT_SECONDS = 10
_MOST_BYTES = 64 * 1024


class Standing(enum.StrEnum):
    CONFIRMED = "confirmed"
    UNKNOWN_TO_REGISTER = "unknown_to_register"
    # The register was away or has none of this country's numbers; ask again later, or let the operator decide.
    NOT_ASKED = "not_asked"


class Checked(msgspec.Struct, frozen=True):
    """`reference` is the register's proof of having been asked; `name` whose number it is, if the register tells."""

    number: str
    standing: Standing
    checked_at: dt.datetime
    name: str = ""
    reference: str = ""


class Register(Protocol):
    def check(self, number: str, at: dt.datetime) -> Checked: ...


def normalized(number: str, country: str) -> str:
    """The number in its full form, country first ("DE136695976"). Raises ValueError, in words, when it is none."""
    prefix = prefix_of(country)
    compact = "".join(character for character in number.upper() if character.isalnum())
    full = compact if compact.startswith(prefix) else prefix + compact
    try:
        if country == "GB":
            return "GB" + gb_vat.validate(full)
        if country in EU:
            return str(eu_vat.validate(full))
    except ValidationError as wrong:
        raise ValueError(f"{number} is not a VAT number of {country}: {_reason(wrong)}") from wrong
    raise ValueError(f"VAT numbers of {country} cannot be checked")


def prefix_of(country: str) -> str:
    """What the numbers of the country begin with."""
    return "EL" if country == "GR" else country


def _reason(wrong: ValidationError) -> str:
    return str(wrong).rstrip(".").lower()


class NoRegister:
    """For installations that may not ask anybody: every number stays unconfirmed until the operator confirms it."""

    def check(self, number: str, at: dt.datetime) -> Checked:
        return Checked(number, Standing.NOT_ASKED, at)


class Vies:
    """The Commission's register, by its REST interface. It has the numbers of the Union only.

    `requester` is the seller's own number: with it the register gives a reference that proves the question.
    """

    def __init__(self, url: str, requester: str = "") -> None:
        self._url = url.rstrip("/")
        self._requester = requester

    def check(self, number: str, at: dt.datetime) -> Checked:
        if number[:2] == "GB":
            return Checked(number, Standing.NOT_ASKED, at)
        asked = {"countryCode": number[:2], "vatNumber": number[2:]}
        if self._requester:
            asked |= {"requesterMemberStateCode": self._requester[:2], "requesterNumber": self._requester[2:]}
        try:
            told = self._post(asked)
        except (error.URLError, TimeoutError, ValueError):
            return Checked(number, Standing.NOT_ASKED, at)
        if not isinstance(told.get("valid"), bool):
            # "MS_UNAVAILABLE" and its like come as an answer without a verdict.
            return Checked(number, Standing.NOT_ASKED, at)
        standing = Standing.CONFIRMED if told["valid"] else Standing.UNKNOWN_TO_REGISTER
        name = str(told.get("name") or "")
        return Checked(number, standing, at, "" if name == "---" else name, str(told.get("requestIdentifier") or ""))

    def _post(self, body: dict[str, str]) -> dict[str, Any]:
        asking = request.Request(  # noqa: S310 - the operator's own setting
            f"{self._url}/check-vat-number",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Accept": "application/json"},
        )
        with request.urlopen(asking, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            told = json.loads(answer.read(_MOST_BYTES))
        if not isinstance(told, dict):
            raise ValueError("the register answered something else than an object")  # noqa: TRY004
        return told
