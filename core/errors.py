"""One error shape for every program that calls: pages, reading API and edge use the same builder.

ApiError
├── 400 malformed       the request cannot be read
├── 401 unauthorized    no key, or none of ours
├── 402 payment         credits are spent
├── 403 forbidden       the key or role may not
├── 404 not_found       unknown, or not yours
├── 409 conflict        contradicts what is stored
├── 413 too_large, 415 unsupported_type
├── 422 invalid         understood, but wrong
├── 429 limited         try again after Retry-After
└── 503 unavailable     storage is away; try again after Retry-After
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis
import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

logger = structlog.get_logger(__name__)

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_credits_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    406: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
}


class ApiError(Exception):
    """An answer other than success. `code` is for programs, `message` for people, `param` names the culprit."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.headers = headers or {}


def error_body(status: int, code: str, message: str, param: str | None, request_id: str | None) -> dict[str, Any]:
    error_type = TYPES.get(status, "api_error")
    return {"error": {"message": message, "type": error_type, "code": code, "param": param, "request_id": request_id}}


def api_exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's hook: every exception of the reading API in the contract's shape."""
    known = _as_api_error(error)
    if known is None:
        return None
    request_id = getattr(context["request"], "id", None)
    headers = dict(known.headers)
    if known.retry_after is not None:
        headers["Retry-After"] = str(known.retry_after)
    if known.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = error_body(known.status, known.code, known.message, known.param, request_id)
    return Response(body, status=known.status, headers=headers)


def _as_api_error(error: Exception) -> ApiError | None:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Http404):
        return ApiError(404, "not_found", "Nothing here by that name, or it is not yours.")
    if isinstance(error, PermissionDenied):
        return ApiError(403, "forbidden", str(error) or "This key may not do that.")
    if isinstance(error, RequestDataTooBig):
        return ApiError(413, "body_too_large", "The request's body is larger than this endpoint takes.")
    if isinstance(error, exceptions.ValidationError):
        param, message = _first_problem(error.detail)
        return ApiError(422, "invalid_parameter", message, param=param)
    if isinstance(error, exceptions.APIException):
        code = error.get_codes() if isinstance(error.get_codes(), str) else "invalid_request"
        return ApiError(error.status_code, str(code), str(error.detail))
    return storage_refusal(error)


def storage_refusal(error: BaseException | None) -> ApiError | None:
    """503 when an exception says that the database or Redis is away, else None."""
    if not isinstance(error, OperationalError | InterfaceError | redis.ConnectionError | redis.TimeoutError):
        return None
    logger.warning("storage_unavailable", exc_info=error)
    return ApiError(
        503, "storage_unavailable", "The ledger's storage cannot be reached. Try again shortly.", retry_after=2
    )


def _first_problem(detail: Any) -> tuple[str | None, str]:
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        deeper, message = _first_problem(inner)
        path = name if deeper is None else f"{name}.{deeper}"
        return (None if path == "non_field_errors" else path), message
    if isinstance(detail, list) and detail:
        return _first_problem(detail[0])
    return None, str(detail)
