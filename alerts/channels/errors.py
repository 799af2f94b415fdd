"""Why a message was not taken.

SendingError
├── TryLaterError   whoever should take it is in trouble, or asks to wait
└── RefusedError    trying again would change nothing
"""

from __future__ import annotations


class SendingError(Exception):
    """The message is for people who look after what is told."""


class TryLaterError(SendingError):
    """`wait_seconds` is the receiver's own wish, None where it has none."""

    def __init__(self, reason: str, wait_seconds: int | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class RefusedError(SendingError):
    pass
