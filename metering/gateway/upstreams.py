"""What the gateway knows of an organization's upstreams, and which of them serve a model."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec
import structlog
from django.db.models import QuerySet

from core.encryption import SecretLostError, decrypt
from core.errors import ApiError
from core.tenancy import organization_scope
from metering.gateway.providers import provider_of
from metering.models import Upstream

logger = structlog.get_logger(__name__)

EVERYTHING = "*"


class Route(msgspec.Struct, frozen=True):
    """An upstream as the gateway uses it. Holds the credential in the clear: for memory only."""

    id: int
    name: str
    protocol: str
    base_url: str
    credential: str | None
    provider: str
    models: tuple[str, ...]
    timeout_seconds: float
    # Its credential was stored with a SECRET_KEY that is gone.
    is_locked: bool = False

    def __repr__(self) -> str:
        return f"<Route {self.name} {self.base_url}>"


def read_upstreams(organization_id: int) -> tuple[Route, ...]:
    """The organization's active upstreams in fallback order."""
    with organization_scope(organization_id):
        return tuple(_route(row) for row in in_order().filter(is_active=True))


def in_order() -> QuerySet[Upstream]:
    return Upstream.objects.order_by("position", "id")


def routes_for(routes: Iterable[Route], protocol: str, model: str) -> list[Route]:
    """The routes that serve `model` by `protocol`, the one to try first at the front.

    Who names the model comes before who matches it by a pattern, and that before who takes everything (`*`); among
    equals the fallback order decides. Names are compared with case, as providers do.

    Raises ApiError 503 when the only ones that serve it cannot read their credential any more.
    """
    ranked = [
        (rank, route)
        for route in routes
        if route.protocol == protocol and (rank := _rank(route.models, model)) is not None
    ]
    ranked.sort(key=lambda pair: pair[0])
    open_ones = [route for _, route in ranked if not route.is_locked]
    if ranked and not open_ones:
        raise ApiError(
            503,
            "upstream_credential_lost",
            f"The credential of the upstream {ranked[0][1].name} cannot be read any more. An administrator has to"
            " enter it again.",
        )
    return open_ones


def _rank(patterns: tuple[str, ...], model: str) -> int | None:
    """0 for a name, 1 for a pattern, 2 for everything; None when nothing fits."""
    if model in patterns:
        return 0
    if any(pattern != EVERYTHING and fnmatchcase(model, pattern) for pattern in patterns):
        return 1
    return 2 if EVERYTHING in patterns else None


def _route(upstream: Upstream) -> Route:
    credential, is_locked = None, False
    if upstream.credential is not None:
        try:
            credential = decrypt(upstream.credential)
        except SecretLostError:
            logger.exception("upstream_credential_lost", upstream=upstream.pk, organization=upstream.organization_id)
            is_locked = True
    return Route(
        id=upstream.pk,
        name=upstream.name,
        protocol=upstream.protocol,
        base_url=upstream.base_url,
        credential=credential,
        provider=provider_of(upstream),
        models=tuple(upstream.models),
        timeout_seconds=float(upstream.timeout_seconds),
        is_locked=is_locked,
    )
