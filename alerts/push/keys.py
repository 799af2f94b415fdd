"""The installation's VAPID key pair (RFC 8292): push services know by it who sends, browsers whom they allowed.

Kept encrypted in the database, so that all processes have the same one: docs/decisions/0011-push.md.
"""

from __future__ import annotations

import base64
import time
from email.utils import parseaddr
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from py_vapid import Vapid02

from alerts.models import PushKey
from core.encryption import decrypt, encrypt, renew

# Push services refuse tokens of more than a day.
TOKEN_SECONDS = 12 * 3600


def signing_key() -> Vapid02:
    """The pair; made by whoever asks first. Raises SecretLostError when no configured SECRET_KEY opens it."""
    row = PushKey.objects.filter(pk=PushKey.ONLY).first()
    if row is None:
        made = Vapid02()
        made.generate_keys()
        # Two processes may make one at once: the row of the first stays, and both use it.
        row, _ = PushKey.objects.get_or_create(
            pk=PushKey.ONLY, defaults={"sealed": encrypt(made.private_pem().decode())}
        )
    return Vapid02.from_pem(decrypt(row.sealed).encode())


def public_key() -> str:
    """What browsers subscribe with: the uncompressed point in base64url."""
    point = signing_key().public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


def authorization(endpoint: str) -> str:
    """The Authorization header for a push service: signed for it alone, and for some hours."""
    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "sub": f"mailto:{parseaddr(settings.DEFAULT_FROM_EMAIL)[1]}",
        "exp": int(time.time()) + TOKEN_SECONDS,
    }
    return str(signing_key().sign(claims)["Authorization"])


def renew_key() -> bool:
    """Encrypt the pair with today's SECRET_KEY. False when there is none. Raises SecretLostError."""
    row = PushKey.objects.filter(pk=PushKey.ONLY).first()
    if row is None:
        return False
    row.sealed = renew(row.sealed)
    row.save(update_fields=["sealed"])
    return True
