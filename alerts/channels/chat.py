"""Messages to rooms of chat programs, by their incoming webhooks."""

from __future__ import annotations

from typing import Any

import msgspec
from django.utils.timezone import now

from alerts.channels.errors import RefusedError, TryLaterError
from alerts.chat.payloads import payload_of
from alerts.letters import letter_of
from alerts.models import ChatChannel, Dispatch
from alerts.webhooks.posting import Answer, Request, post_all
from alerts.webhooks.schedule import asked_seconds
from core import emails
from core.encryption import SecretLostError, decrypt

_LATER = frozenset({408, 425, 429})
_HEADERS = {"Content-Type": "application/json", "User-Agent": "Tokenledger/1"}


def send(dispatch: Dispatch) -> None:
    room = dispatch.chat
    if room is None or not room.is_active:
        raise RefusedError("Paused meanwhile.")
    organization = dispatch.organization
    letter = letter_of(dispatch.fact, organization)
    link = emails.absolute(letter.path)
    post(room, payload_of(room.dialect, letter, link, organization.name))


def post(room: ChatChannel, payload: dict[str, Any]) -> None:
    """Send it, and write down at the room what became of it. Raises SendingError."""
    try:
        url = decrypt(room.sealed)
    except SecretLostError as error:
        _remember(room, str(error))
        raise RefusedError(str(error)) from error
    [answer] = post_all([Request(url, _HEADERS, msgspec.json.encode(payload).decode())])
    problem = _problem(answer)
    _remember(room, problem)
    if not problem:
        return
    status = answer.status
    if status is None or status in _LATER or status >= 500:
        raise TryLaterError(problem, asked_seconds(answer.headers.get("retry-after", ""), now()))
    raise RefusedError(problem)


def _problem(answer: Answer) -> str:
    """With the first words of what a receiver says about it; Slack and Teams name the mistake there."""
    said = " ".join(answer.body.split())[:120]
    return f"{answer.problem} It says: {said}" if answer.problem and said else answer.problem


def _remember(room: ChatChannel, problem: str) -> None:
    values: dict[str, Any] = {"problem": problem[:300]}
    if not problem:
        values["last_sent_at"] = now()
    ChatChannel.objects.filter(pk=room.pk).update(**values)
