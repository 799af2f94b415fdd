"""What every endpoint of the edge does alike: see who calls and what they may, and answer in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from accounts.keys import EndedKeyError, KeyGrant
from accounts.models import Scope
from core.errors import ApiError
from metering.limits.admission import Admission
from metering.recorder import Recorder


def recorder(request: Request) -> Recorder:
    found: Recorder = request.app.state.recorder
    return found


def admission(request: Request) -> Admission:
    found: Admission = request.app.state.admission
    return found


async def granted(request: Request, *scopes: Scope) -> KeyGrant:
    """What the caller's key may do. Raises ApiError 401 without a working key, 403 without any of the scopes."""
    grant = request.state.grant = await recorder(request).keyring.grant(_secret_of(request))
    if not any(map(grant.allows, scopes)):
        raise ApiError(403, "missing_scope", f"This key lacks the scope {' or '.join(scopes)}.")
    return grant


def _secret_of(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    given = request.headers.get("x-api-key")
    if given:
        return given.strip()
    raise ApiError(401, "missing_api_key", "Send your key as: Authorization: Bearer tl_…")


def note_refusal(request: Request, error: ApiError) -> None:
    """Count what is refused to a key of ours; `granted` has put its grant on the request."""
    grant: KeyGrant | None = getattr(request.state, "grant", None)
    if isinstance(error, EndedKeyError):
        recorder(request).refused.note(error.organization_id, error.key_id, error.code, error.message)
    elif grant is not None and error.status < 500:
        recorder(request).refused.note(grant.organization_id, grant.key_id, error.code, error.message)


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")
