"""Secrets that must be read again, such as the keys of model providers: stored encrypted, opened by SECRET_KEY alone.

The key is derived from `SECRET_KEY`. After `SECRET_KEY` has changed, what was encrypted before is read as long as the
old one stands in `SECRET_KEY_FALLBACKS`.
"""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

# Sets these keys apart from whatever else is derived from SECRET_KEY. Changing it loses every stored secret.
_INFO = b"tokenledger stored secrets 1"


class SecretLostError(RuntimeError):
    """A stored secret was encrypted with a SECRET_KEY that is not configured any more."""


def encrypt(text: str) -> bytes:
    return _box().encrypt(text.encode())


def decrypt(sealed: bytes | memoryview) -> str:
    """What `encrypt` was given. Raises SecretLostError when no configured key opens it."""
    try:
        return _box().decrypt(bytes(sealed)).decode()
    except InvalidToken as error:
        raise SecretLostError(
            "This secret was stored with another SECRET_KEY. "
            "Add the former one to SECRET_KEY_FALLBACKS, or enter the secret again."
        ) from error


def renew(sealed: bytes | memoryview) -> bytes:
    """The same secret under today's SECRET_KEY. Raises SecretLostError as `decrypt` does."""
    return encrypt(decrypt(sealed))


def _box() -> MultiFernet:
    return _box_of((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=8)
def _box_of(secrets: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(secret))) for secret in secrets])


def _derived(secret: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO).derive(secret.encode())
