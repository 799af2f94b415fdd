"""Test cards, by their numbers as Stripe publishes them, and what becomes of a payment with each."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from billing.providers.stripe.fake.errors import CardError


class Outcome(msgspec.Struct, frozen=True):
    """Of a payment. `code` None is success; `is_attachable`: only later charges fail, the card itself can be kept."""

    code: str | None = None
    decline_code: str | None = None
    message: str = ""
    is_attachable: bool = True
    needs_action: bool = False
    is_disputed: bool = False


_DECLINED = "Your card was declined."
_NOT_KEPT = {"is_attachable": False}
GOOD = Outcome()
OUTCOMES: dict[str, Outcome] = {
    "4242424242424242": GOOD,
    "4000056655665556": GOOD,
    "5555555555554444": GOOD,
    "378282246310005": GOOD,
    "4000002760000016": GOOD,
    "4000000000000002": Outcome("card_declined", "generic_decline", _DECLINED, **_NOT_KEPT),
    "4000000000009995": Outcome("card_declined", "insufficient_funds", "Your card has too little funds.", **_NOT_KEPT),
    "4000000000009987": Outcome("card_declined", "lost_card", _DECLINED, **_NOT_KEPT),
    "4000000000000069": Outcome("expired_card", None, "Your card has expired.", **_NOT_KEPT),
    "4000000000000127": Outcome("incorrect_cvc", None, "Your card's security code is incorrect.", **_NOT_KEPT),
    "4000000000000119": Outcome("processing_error", None, "An error occurred while processing.", **_NOT_KEPT),
    "4000000000000341": Outcome("card_declined", "generic_decline", _DECLINED),
    "4000002500003155": Outcome(needs_action=True),
    "4000002760003184": Outcome(needs_action=True),
    "4000000000000259": Outcome(is_disputed=True),
}  # fmt: skip
# What Stripe offers in place of numbers, for programs.
BY_NAME = {
    "visa": "4242424242424242",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeCustomerFail": "4000000000000341",
    "authenticationRequired": "4000002760003184",
    "createDispute": "4000000000000259",
}


def read(number: str, exp_month: str, exp_year: str, cvc: str, today: dt.date) -> str:
    """The digits of a card that a person typed. Raises CardError as a payment page shows it."""
    digits = "".join(character for character in number if character.isdigit())
    if digits not in OUTCOMES:
        if not _passes_luhn(digits):
            raise CardError("Your card number is incorrect.", code="incorrect_number", param="number")
        raise CardError(
            "Your card was declined. Your request was in test mode, but used a non test card.",
            code="card_declined", decline_code="test_mode_live_card",
        )  # fmt: skip
    if not (exp_month.isdigit() and 1 <= int(exp_month) <= 12):
        raise CardError("Your card's expiration month is invalid.", code="invalid_expiry_month", param="exp_month")
    year = int(exp_year) if exp_year.isdigit() else 0
    if (year + 2000 if year < 100 else year, int(exp_month)) < (today.year, today.month):
        raise CardError("Your card's expiration year is in the past.", code="invalid_expiry_year", param="exp_year")
    if not (cvc.isdigit() and len(cvc) in (3, 4)):
        raise CardError("Your card's security code is invalid.", code="invalid_cvc", param="cvc")
    return digits


def described(number: str, exp_month: int, exp_year: int) -> dict[str, Any]:
    """The `card` of a payment method."""
    brand = {"4": "visa", "5": "mastercard", "3": "amex"}[number[0]]
    return {
        "brand": brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "display_brand": brand,
        "exp_month": exp_month,
        "exp_year": exp_year,
        "fingerprint": f"fp{number[-4:]}{brand}",
        "funding": "credit",
        "last4": number[-4:],
        "networks": {"available": [brand], "preferred": None},
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def refuse(outcome: Outcome, **more: Any) -> CardError:
    return CardError(outcome.message, code=outcome.code, decline_code=outcome.decline_code, **more)


def _passes_luhn(digits: str) -> bool:
    total = sum(sum(divmod(int(d) * (1 + place % 2), 10)) for place, d in enumerate(reversed(digits)))
    return len(digits) >= 12 and total % 10 == 0
