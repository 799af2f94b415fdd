"""Secrets of webhooks, and the headers of https://www.standardwebhooks.com by which a receiver knows who sends."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
import uuid

from standardwebhooks import Webhook as Signer

from alerts.models import Webhook
from core.encryption import decrypt

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
