"""GET /metrics: the numbers of this process, for the operator alone."""

from __future__ import annotations

import hmac
import ipaddress

from django.conf import settings
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

from core.errors import ApiError
from metering.telemetry import REGISTRY

# Whoever stands in front of us and sends one of these speaks for somebody else.
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-real-ip")


async def metrics(request: Request) -> Response:
    _refuse_strangers(request)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(REGISTRY), headers={"content-type": content_type, "cache-control": "no-store"})


def _refuse_strangers(request: Request) -> None:
    """Raises ApiError 401 without the operator's token; 403 where there is none and the caller is another machine."""
    token = settings.METRICS_TOKEN
    if token:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
            raise ApiError(
                401, "invalid_metrics_token", "Send the operator's METRICS_TOKEN as: Authorization: Bearer …"
            )
    elif not _is_local(request):
        raise ApiError(403, "metrics_are_local", "Without METRICS_TOKEN only this machine itself may read the metrics.")


def _is_local(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
