"""`Idempotency-Key`: a POST that is sent again changes nothing and gets the first answer again.

The row is written in the handler's own transaction. Of two requests that arrive at once the second waits on the
unique constraint until the first commits, and then finds its answer; if the first fails, nothing is kept and the
second acts. Answers are kept for a day, sealed with the caller's secret, because the answer to creating a key is
the one place where a new secret can be read.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.http.response import HttpResponseBase
from django.utils.timezone import now
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import secret_in
from accounts.models import IdempotentAnswer
from core.errors import ApiError

LIFETIME = timedelta(days=1)
LONGEST_KEY = 255


def once(request: Request, act: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """What `act` answers, or answered. Needs the organization's scope."""
    key = request.headers.get("idempotency-key", "").strip()
    if not 1 <= len(key) <= LONGEST_KEY:
        raise ApiError(422, "invalid_parameter", "Idempotency-Key has 1 to 255 characters.", param="Idempotency-Key")
    grant: Any = request.auth
    fingerprint = _fingerprint(request)
    IdempotentAnswer.objects.filter(created_at__lt=now() - LIFETIME).delete()
    row, is_new = IdempotentAnswer.objects.get_or_create(
        organization_id=grant.organization_id, key=key, defaults={"fingerprint": fingerprint}
    )
    if not is_new:
        return _replay(request, row, fingerprint)
    response = act()
    if not isinstance(response, Response) or response.status_code >= 400:
        row.delete()
        return response
    row.status = response.status_code
    row.sealed = _box(request).encrypt(JSONRenderer().render(response.data))
    row.save(update_fields=["status", "sealed"])
    return response


def _replay(request: Request, row: IdempotentAnswer, fingerprint: str) -> Response:
    if row.fingerprint != fingerprint:
        raise ApiError(
            409,
            "idempotency_key_reused",
            "This Idempotency-Key came with another request before. Use a new one for a new request.",
            param="Idempotency-Key",
        )
    try:
        body = _box(request).decrypt(bytes(row.sealed))
    except InvalidToken as error:
        raise ApiError(
            409, "idempotency_key_in_use", "Another API key has used this Idempotency-Key.", param="Idempotency-Key"
        ) from error
    return Response(json.loads(body) if body else None, status=row.status, headers={"Idempotent-Replayed": "true"})


def _fingerprint(request: Request) -> str:
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    digest.update(request._request.body)  # noqa: SLF001  (REST framework has no public way to Django's request)
    return digest.hexdigest()


def _box(request: Request) -> Fernet:
    secret = secret_in(request.headers.get("authorization"), request.headers.get("x-api-key")) or ""
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(f"idempotent answer\n{secret}".encode()).digest()))
