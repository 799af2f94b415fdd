"""The upstreams of an organization: set up, put in order, and which of them serve a model.

Whoever may change an upstream cannot read its credential: it is stored encrypted, shown by its last characters, left
out of the audit log, and has to be entered again before it is sent to another server.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Max, QuerySet

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from accounts.organizations import validated
from core.encryption import SecretLostError, decrypt, encrypt, renew
from core.errors import ApiError
from core.net import checked_url
from core.tenancy import organization_scope, unscoped
from metering.gateway.providers import provider_of
from metering.models import Protocol, Upstream

logger = structlog.get_logger(__name__)

EVERYTHING = "*"
MOST_UPSTREAMS = 100
MOST_PATTERNS = 200
HINT_LENGTH = 4
# Of anything shorter the hint would give away too much.
SHORTEST_HINTED = 16
LONGEST_CREDENTIAL = 8_000
LAST_POSITION = 32_767

_AUDITED = ("name", "protocol", "base_url", "provider", "models", "position", "timeout_seconds", "is_active")
# What clients add to the base themselves, and people paste with it.
_ENDPOINTS = re.compile(r"/(chat/completions|completions|responses|embeddings|models|messages)$")
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9._-]*")


# ── For the gateway ──


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
        return tuple(route_of(row) for row in in_order().filter(is_active=True))


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


def serves_model(route: Route, model: str) -> bool:
    return _rank(route.models, model) is not None


def _rank(patterns: tuple[str, ...], model: str) -> int | None:
    """0 for a name, 1 for a pattern, 2 for everything; None when nothing fits."""
    if model in patterns:
        return 0
    if any(pattern != EVERYTHING and fnmatchcase(model, pattern) for pattern in patterns):
        return 1
    return 2 if EVERYTHING in patterns else None


def route_of(upstream: Upstream) -> Route:
    """The upstream for use. A credential that cannot be read any more locks the route."""
    credential, is_locked = None, False
    try:
        credential = _credential(upstream)
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


def _credential(upstream: Upstream) -> str | None:
    return None if upstream.credential is None else decrypt(upstream.credential)


# ── Setting up ──


def create_upstream(
    organization: Organization,
    *,
    by: Actor,
    name: str,
    protocol: str,
    base_url: str,
    credential: str | None = None,
    provider: str = "",
    models: Sequence[str] = (EVERYTHING,),
    position: int | None = None,
    timeout_seconds: int = 600,
    is_active: bool = True,
) -> Upstream:
    """A new upstream, the last in order unless `position` says otherwise. Needs the organization's scope.

    Raises ApiError 422 for what does not hold, 409 for a name that is taken and for more than MOST_UPSTREAMS.
    """
    upstream = Upstream(
        organization=organization,
        name=name,
        protocol=protocol,
        base_url=base_url,
        provider=provider,
        models=list(models),
        position=0 if position is None else position,
        timeout_seconds=timeout_seconds,
        is_active=is_active,
    )
    _check(upstream)
    _seal(upstream, credential)
    with _unless_taken(), transaction.atomic():
        _wait_for_others(organization)
        known = Upstream.objects.aggregate(last=Max("position"), count=Count("id"))
        if known["count"] >= MOST_UPSTREAMS:
            raise ApiError(409, "too_many_upstreams", f"An organization has at most {MOST_UPSTREAMS} upstreams.")
        if position is None and known["last"] is not None:
            upstream.position = min(known["last"] + 1, LAST_POSITION)
        upstream.save(force_insert=True)
        changes = {**audit.creation(upstream, _AUDITED), **_credential_change(None, upstream)}
        audit.record(by, "upstream.create", upstream, changes)
    return upstream


def update_upstream(upstream: Upstream, values: Mapping[str, Any], *, by: Actor) -> list[str]:
    """Change some of an upstream's fields; `credential` may be among `values`, empty to have none.

    Returns the names of what differed. Raises ApiError as `create_upstream` does.
    """
    with _unless_taken(), transaction.atomic():
        before: Upstream = Upstream.objects.select_for_update().get(pk=upstream.pk)
        after = copy.copy(before)
        for name, value in values.items():
            if name not in (*_AUDITED, "credential"):
                raise ValueError(f"{name} is no field of an upstream that can be changed")
            if name != "credential":
                setattr(after, name, value)
        _check(after)
        if "credential" in values:
            _seal(after, values["credential"])
        elif before.credential is not None and _origin(before.base_url) != _origin(after.base_url):
            raise ApiError(
                422,
                "credential_required",
                "Enter the credential again: it would be sent to another server.",
                param="credential",
            )
        changes: dict[str, tuple[Any, Any]] = {
            name: (old, new) for name in _AUDITED if (old := getattr(before, name)) != (new := getattr(after, name))
        }
        if "credential" in values:
            changes |= _credential_change(before, after)
        if changes:
            after.save()
            audit.record(by, "upstream.update", after, changes)
    upstream.refresh_from_db()
    return list(changes)


def delete_upstream(upstream: Upstream, *, by: Actor) -> None:
    """Calls under way end as they began; what was metered stays in every report."""
    with transaction.atomic():
        audit.record(by, "upstream.delete", upstream, {"base_url": (upstream.base_url, None)})
        upstream.delete()


def move_upstream(upstream: Upstream, steps: int, *, by: Actor) -> None:
    """Put it `steps` places later in the fallback order (negative: earlier), and number all anew."""
    with transaction.atomic():
        _wait_for_others(upstream.organization)
        rows = list(in_order())
        before = [row.name for row in rows]
        place = next((place for place, row in enumerate(rows) if row.pk == upstream.pk), None)
        if place is None:
            raise ApiError(404, "not_found", "This upstream has been deleted.")
        rows.insert(max(0, place + steps), rows.pop(place))
        for position, row in enumerate(rows):
            row.position = position
        Upstream.objects.bulk_update(rows, ["position"])
        after = [row.name for row in rows]
        if after != before:
            audit.record(by, "upstream.move", upstream, {"order": (", ".join(before), ", ".join(after))})


def in_order() -> QuerySet[Upstream]:
    """The organization's upstreams in fallback order."""
    rows: QuerySet[Upstream] = Upstream.objects.order_by("position", "id")
    return rows


def credential_state(upstream: Upstream) -> str:
    """none, stored, or lost: stored with a SECRET_KEY that is gone."""
    try:
        return "none" if _credential(upstream) is None else "stored"
    except SecretLostError:
        return "lost"


def renew_credentials() -> tuple[int, list[Upstream]]:
    """Encrypt every organization's credentials with today's SECRET_KEY. Returns how many, and those that are lost."""
    renewed, lost = 0, []
    with unscoped("the operator changes the key of all secrets"):
        for upstream in Upstream.objects.select_related("organization").exclude(credential=None).order_by("id"):
            try:
                sealed = renew(upstream.credential)
            except SecretLostError:
                lost.append(upstream)
                continue
            # Only if nobody has entered another one meanwhile.
            renewed += Upstream.objects.filter(pk=upstream.pk, credential=upstream.credential).update(credential=sealed)
    return renewed, lost


def _wait_for_others(organization: Organization) -> None:
    """Places in the order are given one after the other."""
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)


@contextmanager
def _unless_taken() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise ApiError(409, "already_exists", "There is an upstream of this name already.", param="name") from error


# ── What holds of an upstream ──


def _check(upstream: Upstream) -> None:
    """Bring the fields into their usual form. Raises ApiError 422 on the field that does not hold."""
    upstream.name = _line(upstream.name, "name")
    upstream.provider = upstream.provider.strip().lower()
    upstream.models = _patterns(upstream.models)
    upstream.base_url = _base_url(upstream)
    validated(upstream, exclude=("organization",))
    if upstream.provider and not _PROVIDER.fullmatch(upstream.provider):
        raise ApiError(422, "invalid_parameter", "A provider is a name such as openai or my-cluster.", param="provider")


def _base_url(upstream: Upstream) -> str:
    url = checked_url(upstream.base_url, allow_private=settings.GATEWAY_ALLOW_PRIVATE_UPSTREAMS)
    path = urlsplit(url).path
    if ending := _ENDPOINTS.search(path):
        raise ApiError(
            422, "invalid_url", f"Leave out {ending[0]}: the gateway adds what each call needs.", param="base_url"
        )
    if upstream.protocol == Protocol.ANTHROPIC and path.endswith("/v1"):
        raise ApiError(422, "invalid_url", "Leave out /v1: Anthropic's clients add it to every call.", param="base_url")
    return url


def _patterns(given: Iterable[str]) -> list[str]:
    patterns = list(dict.fromkeys(_line(pattern, "models") for pattern in given))
    if not patterns:
        raise ApiError(422, "invalid_parameter", "Name a model, or * for every one.", param="models")
    if len(patterns) > MOST_PATTERNS:
        raise ApiError(422, "invalid_parameter", f"At most {MOST_PATTERNS} names of models.", param="models")
    return patterns


def _line(text: str, param: str) -> str:
    text = text.strip()
    if not text or not text.isprintable():
        raise ApiError(422, "invalid_parameter", "This is one line of text.", param=param)
    return text


def _seal(upstream: Upstream, credential: str | None) -> None:
    secret = (credential or "").strip()
    if len(secret) > LONGEST_CREDENTIAL or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ApiError(
            422,
            "invalid_parameter",
            f"A credential is up to {LONGEST_CREDENTIAL:,} ASCII characters without spaces.",
            param="credential",
        )
    upstream.credential = encrypt(secret) if secret else None
    upstream.credential_hint = secret[-HINT_LENGTH:] if len(secret) >= SHORTEST_HINTED else ""


def _credential_change(before: Upstream | None, after: Upstream) -> dict[str, tuple[Any, Any]]:
    """What the audit log says of a credential: that there is one, and which by its last characters."""
    change = (None if before is None else _shown(before), _shown(after))
    return {} if change == (None, None) else {"credential": change}


def _shown(upstream: Upstream) -> str | None:
    return None if upstream.credential is None else f"…{upstream.credential_hint}"


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
