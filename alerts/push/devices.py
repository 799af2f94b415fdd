"""Devices: subscribed by their browser, listed for their person, gone when their push service says so."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from alerts.models import PushDevice
from core.errors import ApiError
from core.net import checked_endpoint

MOST_DEVICES = 20
LONGEST_ENDPOINT = 2000


class Keys(msgspec.Struct, frozen=True):
    p256dh: Annotated[str, msgspec.Meta(max_length=120)]
    auth: Annotated[str, msgspec.Meta(max_length=40)]


class Subscription(msgspec.Struct, frozen=True):
    """What `PushSubscription.toJSON()` gives in a browser, as far as it matters here."""

    endpoint: Annotated[str, msgspec.Meta(max_length=LONGEST_ENDPOINT)]
    keys: Keys
    # The endpoint that the browser had before, when it subscribed anew by itself.
    replaces: Annotated[str, msgspec.Meta(max_length=LONGEST_ENDPOINT)] = ""


_DECODER = msgspec.json.Decoder(Subscription)


def subscribe(user: User, body: bytes, user_agent: str) -> PushDevice:
    """Keep the browser's subscription; one that is known is the person's who uses the browser now.

    Raises ApiError 422 for what is no subscription, or leads where this installation must not be sent to; 404 when it
    replaces one that is not the person's (any more): what was removed does not come back by itself.
    """
    try:
        given = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(422, "invalid_subscription", f"This is no subscription of a browser: {error}.") from error
    checked_endpoint(given.endpoint, allow_private=settings.PUSH_ALLOW_PRIVATE_SERVICES, param="endpoint")
    _check_keys(given.keys)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if given.replaces:
            gone, _ = PushDevice.objects.filter(user=user, endpoint=given.replaces).delete()
            if not gone:
                raise ApiError(404, "unknown_device", "The device it replaces is not one of yours.", param="replaces")
        others = PushDevice.objects.filter(user=user).exclude(endpoint=given.endpoint)
        if others.count() >= MOST_DEVICES:
            raise ApiError(422, "too_many_devices", f"At most {MOST_DEVICES} devices. Remove one of them first.")
        device, _ = PushDevice.objects.update_or_create(
            endpoint=given.endpoint,
            defaults={
                "user": user,
                "p256dh": given.keys.p256dh,
                "auth": given.keys.auth,
                "user_agent": user_agent[:400],
                "problem": "",
            },
        )
    return device


def devices_of(user: User) -> QuerySet[PushDevice]:
    return PushDevice.objects.filter(user=user).order_by("-created_at", "-pk")


def digest_of(device: PushDevice) -> str:
    """By it a page tells which of the devices it runs on, without the list giving endpoints away."""
    return hashlib.sha256(device.endpoint.encode()).hexdigest()


def _check_keys(keys: Keys) -> None:
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), _decoded(keys.p256dh))
        is_sound = len(_decoded(keys.auth)) == 16
    except (ValueError, binascii.Error):
        is_sound = False
    if not is_sound:
        raise ApiError(422, "invalid_keys", "The subscription's keys are none.", param="keys")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
