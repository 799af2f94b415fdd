"""E-mail that is kept instead of sent, for the demo and for development: one file a message, the newest ones alone."""

from __future__ import annotations

import datetime as dt
import re
import secrets
import time
from collections.abc import Sequence
from email import message_from_bytes, policy
from pathlib import Path

import msgspec
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from core.periods import UTC

# How settings name the class below.
BACKEND = "core.mailbox.Backend"
MOST_KEPT = 300
# Nanoseconds since 1970, so that names are in order, and what tells two of one moment apart.
_ID = re.compile(r"[0-9]{19}-[0-9a-f]{8}")


class Backend(BaseEmailBackend):
    """Django's EMAIL_BACKEND for EMAIL_URL=mailbox://."""

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        for message in messages:
            _keep(message.message().as_bytes())
        return len(messages)


class Mail(msgspec.Struct, frozen=True):
    """A message as its reader gets it. `html` is empty where it has no such part."""

    id: str
    at: dt.datetime
    sender: str
    to: str
    subject: str
    text: str
    html: str
    headers: tuple[tuple[str, str], ...]


def is_used() -> bool:
    return bool(settings.EMAIL_BACKEND == BACKEND)


def mails() -> list[Mail]:
    """The newest first."""
    return [mail for path in sorted(_paths(), reverse=True) if (mail := _read(path)) is not None]


def mail(id: str) -> Mail | None:  # noqa: A002  (what it is called in the address)
    return _read(_directory() / f"{id}.eml") if _ID.fullmatch(id) else None


def _directory() -> Path:
    return Path(settings.MAILBOX_DIR)


def _paths() -> list[Path]:
    return [path for path in _directory().glob("*.eml") if _ID.fullmatch(path.stem)]


def _keep(raw: bytes) -> None:
    directory = _directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{time.time_ns():019d}-{secrets.token_hex(4)}.eml"
    # Moved into place when it is whole.
    draft = path.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_bytes(raw)
    draft.rename(path)
    for old in sorted(_paths())[:-MOST_KEPT]:
        old.unlink(missing_ok=True)


def _read(path: Path) -> Mail | None:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    parsed = message_from_bytes(raw, policy=policy.default)
    text, html = parsed.get_body(("plain",)), parsed.get_body(("html",))
    return Mail(
        id=path.stem,
        at=dt.datetime.fromtimestamp(int(path.stem.partition("-")[0]) / 1e9, UTC),
        sender=str(parsed["From"] or ""),
        to=str(parsed["To"] or ""),
        subject=str(parsed["Subject"] or ""),
        text=str(text.get_content()) if text is not None else "",
        html=str(html.get_content()) if html is not None else "",
        headers=tuple((name, str(value)) for name, value in parsed.items()),
    )
