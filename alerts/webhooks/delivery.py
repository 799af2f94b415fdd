"""Sending what is due for one webhook: claim, post, conclude, until nothing is left, or others have their turn."""

from __future__ import annotations

import datetime as dt
import time

from django.utils.timezone import now

from alerts.webhooks import signing
from alerts.webhooks.claiming import Claim, claim
from alerts.webhooks.concluding import conclude
from alerts.webhooks.posting import USER_AGENT, Answer, Request, post_all

# How long a worker stays with one webhook before it goes back to the queue.
LONGEST_TURN_SECONDS = 20.0
# What is tried again so soon is not left to beat.
SOON_SECONDS = 30.0
SECRET_LOST = "Its secret cannot be read any more: rotate it."  # noqa: S105


def deliver(organization_id: int, webhook_id: int) -> float | None:
    """Returns in how many seconds to come again: 0 when something is left, None when beat may look."""
    begin = time.monotonic()
    soonest: float | None = None
    while claims := claim(organization_id, webhook_id, now()):
        again = _send(organization_id, claims)
        waits = [wait for wait in again if wait <= SOON_SECONDS]
        soonest = min([*waits, *([] if soonest is None else [soonest])], default=None)
        if time.monotonic() - begin > LONGEST_TURN_SECONDS:
            return 0
    return soonest


def _send(organization_id: int, claims: list[Claim]) -> list[float]:
    """In how many seconds those of them that were not taken are tried again."""
    started_at = now()
    requests = [Request(one.url, _headers(one, started_at), one.body) for one in claims]
    can_be_signed = all(one.secrets for one in claims)
    answers = post_all(requests) if can_be_signed else [Answer(0, problem=SECRET_LOST) for _ in claims]
    waits = []
    for one, request, answer in zip(claims, requests, answers, strict=True):
        due_at = conclude(organization_id, one, request.headers, started_at, answer)
        if due_at is not None:
            waits.append((due_at - now()).total_seconds())
    return waits


def _headers(one: Claim, at: dt.datetime) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        **signing.headers(one.secrets, one.message_id, one.body, at),
    }
