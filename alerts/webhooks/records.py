"""Webhooks: set up, changed, given a new secret, disabled and enabled, removed. Everything here needs the
organization's scope."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from alerts.catalogue import KINDS
from alerts.models import DisabledBy, Webhook
from alerts.webhooks.signing import new_secret
from core.encryption import encrypt
from core.errors import ApiError
from core.net import checked_url

EVERYTHING = "*"
MOST_WEBHOOKS = 20
LONGEST_URL = 2000
# A percent of the allowance, and whole credits. They say more of usage.threshold and credits.low, and nothing alone.
LARGEST = {"usage_threshold_percent": 1000, "credits_low_threshold": 2**53}
DEFAULT_OVERLAP = dt.timedelta(days=1)
LONGEST_OVERLAP = dt.timedelta(days=7)
FIELDS = ("url", "description", "events", *LARGEST)


def webhooks() -> QuerySet[Webhook]:
    return Webhook.objects.order_by("pk")


def create(organization: Organization, values: Mapping[str, Any], *, by: Actor) -> tuple[Webhook, str]:
    """A webhook and its secret, which nothing shows again. Raises ApiError 409, 422."""
    secret = new_secret()
    webhook = Webhook(organization=organization, sealed=encrypt(secret), created_by_label=by.label[:254])
    for name, value in _checked({"description": "", **values}).items():
        setattr(webhook, name, value)
    with transaction.atomic():
        # One after the other, so that two at once are not one too many.
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        if Webhook.objects.count() >= MOST_WEBHOOKS:
            raise ApiError(409, "too_many_webhooks", f"At most {MOST_WEBHOOKS} webhooks. Remove one of them first.")
        webhook.save(force_insert=True)
        audit.record(by, "webhook.create", webhook, audit.creation(webhook, FIELDS))
    return webhook, secret


def change(webhook: Webhook, values: Mapping[str, Any], *, by: Actor) -> None:
    """What is on its way goes to the new address. Raises ApiError 422."""
    checked = _checked(values)
    with transaction.atomic():
        locked = _locked(webhook)
        percent, credits_ = locked.usage_threshold_percent, locked.credits_low_threshold
        for name, value in checked.items():
            setattr(webhook, name, value)
        audit.change(by, "webhook.change", locked, checked)
        if locked.usage_threshold_percent != percent:
            Webhook.objects.filter(pk=locked.pk).update(usage_told_of=None)
        if locked.credits_low_threshold != credits_:
            Webhook.objects.filter(pk=locked.pk).update(credits_low_since=None)


def rotate(webhook: Webhook, *, by: Actor, overlap: dt.timedelta = DEFAULT_OVERLAP) -> str:
    """A new secret. The former signs beside it for the overlap; one of before it ends at once. Raises ApiError 422."""
    if not dt.timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise ApiError(422, "invalid_parameter", "The overlap lies between 0 seconds and 7 days.", param="overlap")
    secret = new_secret()
    with transaction.atomic():
        locked = _locked(webhook)
        until = now() + overlap if overlap else None
        locked.sealed_former = locked.sealed if until else None
        locked.sealed, locked.former_until = encrypt(secret), until
        locked.save(update_fields=["sealed", "sealed_former", "former_until"])
        audit.record(by, "webhook.rotate", locked, {"former_secret_until": (None, until)})
    webhook.refresh_from_db()
    return secret


def enable(webhook: Webhook, *, by: Actor) -> None:
    """It begins anew: what waits is sent, failures of before count no more."""
    with transaction.atomic():
        locked = _locked(webhook)
        if locked.disabled_at is None:
            return
        locked.failing_since = locked.open_until = None
        locked.failures = 0
        locked.save(update_fields=["failing_since", "open_until", "failures"])
        audit.change(by, "webhook.enable", locked, {"disabled_at": None, "disabled_by": ""})
    webhook.refresh_from_db()


def disable(webhook: Webhook, *, by: Actor) -> None:
    """Nothing is sent and nothing is written down for it, until it is enabled."""
    with transaction.atomic():
        locked = _locked(webhook)
        if locked.disabled_at is None:
            values = {"disabled_at": now(), "disabled_by": DisabledBy.PERSON.value}
            audit.change(by, "webhook.disable", locked, values)
    webhook.refresh_from_db()


def remove(webhook: Webhook, *, by: Actor) -> None:
    with transaction.atomic():
        locked = _locked(webhook)
        audit.record(by, "webhook.delete", locked, {name: (getattr(locked, name), None) for name in ("url", "events")})
        locked.delete()


def hears(webhook: Webhook, kind: str) -> bool:
    return EVERYTHING in webhook.events or kind in webhook.events


def _locked(webhook: Webhook) -> Webhook:
    found: Webhook | None = Webhook.objects.select_for_update().filter(pk=webhook.pk).first()
    if found is None:
        raise ApiError(404, "not_found", "This webhook has been removed.")
    return found


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    checked = dict(values)
    if "url" in checked:
        checked["url"] = _checked_url(checked["url"])
    if "events" in checked:
        checked["events"] = _checked_events(checked["events"])
    _check_bounds(checked)
    return checked


def _checked_url(url: str) -> str:
    """As it was entered: receivers tell addresses apart that browsers hold for one."""
    url = url.strip()
    base, _, query = url.partition("?")
    if len(url) > LONGEST_URL or not (url.isascii() and url.isprintable()) or " " in url or "\\" in query:
        raise ApiError(422, "invalid_url", "Write an address as https://host/path, with %-escapes.", param="url")
    if "#" in url:
        raise ApiError(422, "invalid_url", "An address ends before #.", param="url")
    checked_url(base, allow_private=settings.WEBHOOKS_ALLOW_PRIVATE, param="url")
    return url


def _checked_events(events: Iterable[str]) -> list[str]:
    given = {str(event) for event in events}
    unknown = given - {*KINDS, EVERYTHING}
    if unknown:
        raise ApiError(
            422, "invalid_parameter", f"Unknown event {min(unknown)}. There are {', '.join(KINDS)}.", param="events"
        )
    if not given:
        raise ApiError(422, "invalid_parameter", "Choose at least one event.", param="events")
    return [EVERYTHING] if EVERYTHING in given else [kind for kind in KINDS if kind in given]


def _check_bounds(values: Mapping[str, Any]) -> None:
    for name, largest in LARGEST.items():
        value = values.get(name)
        if value is not None and not 1 <= value <= largest:
            raise ApiError(422, "invalid_parameter", f"{name} lies between 1 and {largest:,}.", param=name)
