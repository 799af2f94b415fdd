"""Stored secrets: opened by today's SECRET_KEY and its predecessors, by nothing else."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from core.encryption import SecretLostError, decrypt, encrypt


def test_a_secret_comes_back_and_is_not_readable_in_between() -> None:
    sealed = encrypt("sk-ünïcode-and-all")
    assert decrypt(sealed) == "sk-ünïcode-and-all"
    assert b"sk-" not in sealed
    assert encrypt("sk-ünïcode-and-all") != sealed


def test_after_a_new_secret_key_the_former_one_still_opens(settings: Settings) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "first", []
    sealed = encrypt("sk-1")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "second", ["first"]
    assert decrypt(sealed) == "sk-1"
    resealed = encrypt("sk-1")
    settings.SECRET_KEY_FALLBACKS = []
    assert decrypt(resealed) == "sk-1"
    with pytest.raises(SecretLostError, match="SECRET_KEY_FALLBACKS"):
        decrypt(sealed)


def test_a_changed_secret_is_no_secret() -> None:
    sealed = bytearray(encrypt("sk-1"))
    sealed[20] ^= 1
    with pytest.raises(SecretLostError):
        decrypt(bytes(sealed))
