"""POST /v1/admissions, /v1/admissions/{id}/settle and …/release: ask before a call, settle after it.

For clients that call their provider themselves. The admission's id is the id of the event that it becomes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from accounts.keys import KeyGrant
from accounts.models import Scope
from core.errors import ApiError
from core.money import usd_text
from metering.door import admission, granted, json_response, recorder
from metering.events import Usage, UsageEvent
from metering.ingest.api import PRICING, content_type_of
from metering.ingest.batch import json_body, parse_value
from metering.limits.admission import Held
from metering.limits.document import LONGEST_ID, AdmissionDocument, as_id, read
from metering.limits.policy import read_limits
from metering.limits.rates import Rate, Taken
from metering.models import HoldSource
from metering.pipeline import Rated, Sender
from metering.pricing.rate import Pricing
from metering.store.base import Outcome, StoredEvent
from metering.store.holds import Found

MOST_BYTES = 1_048_576

_OBJECT = msgspec.json.Decoder(dict[str, Any])


async def admit(request: Request) -> Response:
    grant = await granted(request, Scope.GATEWAY, Scope.USAGE_WRITE)
    ledger = recorder(request)
    _check_type(request)
    async with ledger.intake.take(request, MOST_BYTES) as body:
        document = read(body)
    event = await _estimated(request, grant, document)
    usage = event.usage
    taken = await _take_rate(request, grant, usage.total_tokens if usage else 0)
    try:
        held = await admission(request).hold(
            grant.organization_id,
            Sender.of(grant),
            event,
            source=HoldSource.ADMISSION,
            lifetime_seconds=document.expires_in_seconds,
            cost_nanos=document.cost_nanos,
        )
    except ApiError as error:
        await ledger.rates.correct(taken, 0)
        error.headers = {**taken.headers(), **error.headers}
        raise
    assert held is not None  # noqa: S101 (an admission is held even where no limit applies)
    return json_response(_admitted(held), headers=_headers(taken, held))


async def settle(request: Request) -> Response:
    grant = await granted(request, Scope.GATEWAY, Scope.USAGE_WRITE)
    admission_id = _id_in(request)
    _check_type(request)
    async with recorder(request).intake.take(request) as body:
        with json_body(body):
            try:
                value = _OBJECT.decode(body)
            except msgspec.ValidationError as error:
                raise ApiError(422, "invalid_body", "The body is one event, as POST /v1/events takes it.") from error
    found = await _find(request, grant, admission_id)
    event = _event(value, admission_id, found, request)
    desk, sender = admission(request), Sender.of(grant)
    if found.hold_id is None:
        (rated,) = await desk.settle_late(grant.organization_id, sender, [event], HoldSource.ADMISSION)
    else:
        rated = await desk.settle(grant.organization_id, sender, event, found.hold_id, HoldSource.ADMISSION)
    return _settled(admission_id, rated)


async def release(request: Request) -> Response:
    grant = await granted(request, Scope.GATEWAY, Scope.USAGE_WRITE)
    admission_id = _id_in(request)
    found = await _find(request, grant, admission_id)
    is_released = found.hold_id is not None and await admission(request).release_found(
        grant.organization_id, found.hold_id
    )
    if not is_released:
        raise ApiError(
            409, "admission_closed", "This admission has been settled, or has expired and become an event.", param="id"
        )
    return json_response({"id": admission_id, "status": "released"})


# ── What is asked ──


def _id_in(request: Request) -> str:
    admission_id: str = request.path_params["id"]
    return admission_id


def _key_of(request: Request) -> str | None:
    """Who sends a key instead of an id may send again: the key is the id."""
    key = request.headers.get("idempotency-key")
    if not key:
        return None
    try:
        return as_id(key)
    except msgspec.ValidationError as error:
        message = f"Idempotency-Key has 1 to {LONGEST_ID} characters and no slash: it becomes the admission's id."
        raise ApiError(422, "invalid_parameter", message, param="Idempotency-Key") from error


def _check_type(request: Request) -> None:
    content_type = content_type_of(request)
    if content_type not in ("application/json", "application/x-www-form-urlencoded"):
        raise ApiError(415, "unsupported_type", f"Content-Type is application/json; this is {content_type[:100]!r}.")


async def _estimated(request: Request, grant: KeyGrant, document: AdmissionDocument) -> UsageEvent:
    """The call as an event, by its estimate."""
    now = dt.datetime.now(dt.UTC)
    return UsageEvent(
        event_id=document.id or _key_of(request) or f"adm_{secrets.token_hex(12)}",
        occurred_at=now,
        model=document.model,
        usage=await _usage(request, grant, document, now),
        provider=document.provider,
        endpoint=document.endpoint,
        user=document.user,
        project=document.project,
        chat=document.chat,
        feature=document.feature,
        tool=document.tool,
        integration=document.integration,
        end_user=document.end_user,
        service_tier=document.service_tier,
        is_estimated=True,
        tags=document.checked_tags,
        body_hash=hashlib.blake2b(msgspec.json.encode(document), digest_size=16).digest(),
    )


async def _usage(request: Request, grant: KeyGrant, document: AdmissionDocument, now: dt.datetime) -> Usage:
    """Tokens of which nobody says whether they are read or written are held as the dearer of the two."""
    total = document.estimated_tokens
    if total is None:
        return Usage(input=document.estimated_input_tokens or 0, output=document.estimated_output_tokens or 0)
    book = await recorder(request).keyring.prices()
    dearest: tuple[int, Usage] | None = None
    for usage in (Usage(output=total), Usage(input=total)):
        rating = book.rate(
            grant.organization_id, provider=document.provider, model=document.model, occurred_at=now, usage=usage,
            service_tier=document.service_tier,
        )  # fmt: skip
        if rating.pricing != Pricing.UNPRICED and (dearest is None or (rating.cost_nanos or 0) > dearest[0]):
            dearest = (rating.cost_nanos or 0, usage)
    return dearest[1] if dearest is not None else Usage(output=total)


async def _take_rate(request: Request, grant: KeyGrant, tokens: int) -> Taken:
    ledger = recorder(request)
    policy = await ledger.keyring.about(grant.organization_id, read_limits)
    return await ledger.rates.take(grant.organization_id, grant.key_id, Rate(grant.rpm, grant.tpm), policy.rate, tokens)


async def _find(request: Request, grant: KeyGrant, admission_id: str) -> Found:
    """Raises ApiError 404 for what is no admission of the key's organization, or of another project than the key's."""
    found = await admission(request).find(grant.organization_id, admission_id)
    if found is None or (grant.project_id is not None and found.project_id != grant.project_id):
        raise ApiError(404, "not_found", "There is no admission with this id.", param="id")
    return found


def _event(value: dict[str, Any], admission_id: str, found: Found, request: Request) -> UsageEvent:
    """The event that settles. Unless it says so itself it took place when it was admitted."""
    if value.get("id") not in (None, admission_id):
        raise ApiError(422, "invalid_field", "id is that of the admission, or left out.", param="id")
    if value.get("supersedes") is not None:
        raise ApiError(422, "invalid_field", "What settles an admission supersedes nothing else.", param="supersedes")
    parsed = parse_value(
        {**value, "id": admission_id},
        is_strict=request.query_params.get("strict", "").lower() in ("1", "true"),
        received_at=dt.datetime.now(dt.UTC),
    )
    if parsed.event is None:
        problem = parsed.problem
        assert problem is not None  # noqa: S101 (nothing is wrong without a reason)
        raise ApiError(422, problem.code, problem.message, param=problem.param)
    if value.get("occurred_at") is None:
        return msgspec.structs.replace(parsed.event, occurred_at=found.occurred_at)
    return parsed.event


# ── What is answered ──


def _admitted(held: Held) -> dict[str, Any]:
    remaining = held.remaining
    return {
        "id": held.event_id,
        "allowed": True,
        "expires_at": held.expires_at.astimezone(dt.UTC),
        "remaining": {
            "tokens": remaining.tokens,
            "cost_usd": usd_text(remaining.cost_nanos),
            "credits": remaining.credits,
        },
    }


def _headers(taken: Taken, held: Held) -> dict[str, str]:
    headers = dict(taken.headers())
    if held.credits_remaining is not None:
        headers["x-credits-remaining"] = str(held.credits_remaining)
    return headers


def _settled(admission_id: str, rated: Rated) -> Response:
    row = rated.row
    problem = rated.problem or (rated.appended.problem if rated.appended is not None else None)
    if row is None or rated.outcome not in (Outcome.CREATED, Outcome.DUPLICATE):
        assert problem is not None  # noqa: S101 (nothing is refused without a reason)
        status = 409 if rated.outcome is Outcome.CONFLICT else 422
        raise ApiError(status, problem.code, problem.message, param=problem.param)
    body: dict[str, Any] = {"id": admission_id, "event_id": row.event_id, "status": rated.outcome}
    if rated.outcome is Outcome.CREATED:
        body |= _priced(row)
    return json_response(body)


def _priced(row: StoredEvent) -> dict[str, Any]:
    return {"pricing": PRICING[row.pricing], "cost_usd": usd_text(row.cost_nanos)}
