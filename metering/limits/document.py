"""The body of POST /v1/admissions: a call that is about to be made, by its estimate."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated

import msgspec
from msgspec import Meta

from core.errors import ApiError
from core.money import nanos_from_usd
from metering.ingest.batch import json_body, problem_of
from metering.ingest.document import Count, Name, RefusedError, checked_tags, has_nul
from metering.limits.settlement import SETTLED_LATE

DEFAULT_LIFETIME_SECONDS = 600
LONGEST_LIFETIME_SECONDS = 86_400
LARGEST_COST_NANOS = 10**15
# The event of a late settlement has a longer id, which must still be one that an event can supersede. It is a segment
# of an address.
LONGEST_ID = 200 - len(SETTLED_LATE)

AdmissionId = Annotated[str, Meta(min_length=1, max_length=LONGEST_ID, pattern=r"^[^/\x00-\x1f]+$")]


class AdmissionDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that is about to be made."""

    model: Name
    id: AdmissionId | None = None
    provider: Name | None = None
    estimated_tokens: Count | None = None
    estimated_input_tokens: Count | None = None
    estimated_output_tokens: Count | None = None
    estimated_cost_usd: str | int | None = None
    user: Name | None = None
    project: Name | None = None
    endpoint: Name | None = None
    chat: Name | None = None
    feature: Name | None = None
    tool: Name | None = None
    integration: Name | None = None
    end_user: Name | None = None
    service_tier: Name | None = None
    tags: dict[str, str | int | float | bool | None] | None = None
    expires_in_seconds: Annotated[int, Meta(ge=1, le=LONGEST_LIFETIME_SECONDS)] = DEFAULT_LIFETIME_SECONDS

    @property
    def cost_nanos(self) -> int | None:
        """The cost that the client expects. Raises ApiError 422."""
        if self.estimated_cost_usd is None:
            return None
        try:
            nanos = nanos_from_usd(Decimal(self.estimated_cost_usd))
        except (InvalidOperation, ValueError, OverflowError) as error:
            raise _wrong_cost() from error
        if not 0 <= nanos <= LARGEST_COST_NANOS:
            raise _wrong_cost()
        return nanos

    @property
    def checked_tags(self) -> dict[str, str] | None:
        """Raises ApiError 422."""
        try:
            return checked_tags(self.tags) if self.tags else None
        except RefusedError as error:
            problem = error.problem
            raise ApiError(422, problem.code, problem.message, param=problem.param) from error


def _wrong_cost() -> ApiError:
    return ApiError(
        422,
        "invalid_field",
        'estimated_cost_usd is dollars as a decimal string, such as "0.0125".',
        param="estimated_cost_usd",
    )


_DECODER = msgspec.json.Decoder(AdmissionDocument)


def as_id(text: str) -> str:
    """Raises msgspec.ValidationError for what can be no admission's id."""
    return msgspec.convert(text, AdmissionId)


def read(body: bytes) -> AdmissionDocument:
    """Raises ApiError 400 for what is no JSON, 422 for what is no admission."""
    with json_body(body):
        try:
            document: AdmissionDocument = _DECODER.decode(body)
        except msgspec.ValidationError as error:
            problem = problem_of(error)
            raise ApiError(422, problem.code, problem.message, param=problem.param) from error
        if has_nul(msgspec.to_builtins(document)):
            raise ApiError(422, "nul_character", "A text holds the character U+0000, which cannot be stored.")
    split = (document.estimated_input_tokens, document.estimated_output_tokens)
    if document.estimated_tokens is None and split == (None, None):
        raise ApiError(
            422, "missing_field", "estimated_tokens is required, or its input and output apart.",
            param="estimated_tokens",
        )  # fmt: skip
    if document.estimated_tokens is not None and split != (None, None):
        raise ApiError(
            422, "ambiguous_estimate", "Give estimated_tokens, or its input and output apart; not both.",
            param="estimated_tokens",
        )  # fmt: skip
    return document
