"""Secrets of webhooks, and the headers of https://www.standardwebhooks.com by which a receiver knows who sends."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
import uuid

from standardwebhooks import Webhook as Signer

from alerts.models import Webhook
from core.encryption import SecretLostError, decrypt, renew

SECRET_START = "whsec_"  # noqa: S105
_SECRET_BYTES = 32


def new_secret() -> str:
    return SECRET_START + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def secrets_of(webhook: Webhook, at: dt.datetime) -> list[str]:
    """Those that sign at that moment, the newest first. Raises SecretLostError."""
    found = [decrypt(webhook.sealed)]
    if webhook.sealed_former is not None and webhook.former_until is not None and at < webhook.former_until:
        found.append(decrypt(webhook.sealed_former))
    return found


def headers(signing: list[str], message_id: uuid.UUID, body: str, at: dt.datetime) -> dict[str, str]:
    """One signature a secret: whoever knows one of them verifies."""
    name = public_id(message_id)
    return {
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Signer(secret).sign(name, at.astimezone(dt.UTC), body) for secret in signing),
    }


def public_id(message_id: uuid.UUID) -> str:
    return f"msg_{message_id.hex}"


def renew_secrets() -> tuple[int, list[str]]:
    """Encrypt them with today's SECRET_KEY. How many were, and the addresses of those that none opens."""
    renewed, lost = 0, []
    for webhook in Webhook.objects.select_for_update().order_by("pk"):
        try:
            webhook.sealed = renew(webhook.sealed)
            if webhook.sealed_former is not None:
                webhook.sealed_former = renew(webhook.sealed_former)
        except SecretLostError:
            lost.append(webhook.url)
            continue
        webhook.save(update_fields=["sealed", "sealed_former"])
        renewed += 1
    return renewed, lost
