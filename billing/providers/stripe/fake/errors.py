"""Errors as Stripe words them.

StripeError
├── InvalidRequestError   400, or 404 for what does not exist
├── CardError             402: the bank said no
└── IdempotencyError      400: a key used again for another request
"""

from __future__ import annotations

from typing import Any


class StripeError(Exception):
    """`more` joins the error object: a decline code, the payment intent that failed."""

    type = "api_error"

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, status: int = 400, **more: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"type": self.type, "message": message} | {
            name: value for name, value in ({"code": code, "param": param} | more).items() if value is not None
        }


class InvalidRequestError(StripeError):
    type = "invalid_request_error"


class CardError(StripeError):
    type = "card_error"

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__(message, status=402, **more)


class IdempotencyError(StripeError):
    type = "idempotency_error"


def missing(kind: str, id: str, param: str = "id") -> InvalidRequestError:  # noqa: A002
    return InvalidRequestError(f"No such {kind}: '{id}'", code="resource_missing", param=param, status=404)


def without(param: str) -> InvalidRequestError:
    """A parameter that has to be given was not."""
    return InvalidRequestError(f"Missing required param: {param}.", code="parameter_missing", param=param)
