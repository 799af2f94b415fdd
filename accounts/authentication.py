"""How a program says who it is: `Authorization: Bearer tl_…`, or `x-api-key: tl_…`."""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import keys
from accounts.keys import KeyGrant
from core.errors import ApiError


class KeyAuthentication(BaseAuthentication):
    """`request.auth` becomes the KeyGrant. There is no user: a key acts for its organization."""

    def authenticate(self, request: Request | HttpRequest) -> tuple[None, KeyGrant] | None:
        secret = secret_in(request.headers.get("authorization"), request.headers.get("x-api-key"))
        return None if secret is None else (None, keys.authenticate(secret))

    def authenticate_header(self, _request: Request) -> str:
        return "Bearer"


def secret_in(authorization: str | None, x_api_key: str | None) -> str | None:
    """The secret the headers carry; None without any. Raises ApiError 401 for another scheme."""
    if authorization:
        scheme, _, secret = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise ApiError(401, "invalid_authorization", "Send the API key as `Authorization: Bearer tl_…`.")
        return secret.strip()
    return x_api_key.strip() if x_api_key and x_api_key.strip() else None
