"""Rows on their way → sent. A row is locked while it is sent, so two never send the same at once.

Whoever is killed in between leaves the row as it was: it is sent again, and is recognized by its `public_id`.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable, Sequence

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.module_loading import import_string
from django.utils.timezone import now

from alerts.channels import SENDERS
from alerts.channels.errors import RefusedError, SendingError, TryLaterError
from alerts.models import Dispatch
from core.tenancy import organization_scope, unscoped
from metering.tasks import enqueue

logger = structlog.get_logger(__name__)

FIRST_WAIT_SECONDS = 30
LONGEST_WAIT_SECONDS = 3600
# With the waits between them these take some ten hours.
MOST_ATTEMPTS = 16
# What one sweep takes on; the next one goes on.
MOST_AT_ONCE = 500
SWEEP_SECONDS = 25.0
KEPT_DAYS = 90


def hasten(rows: Sequence[Dispatch]) -> None:
    """Have those that are due sent as soon as they are committed."""
    from alerts.tasks import send_dispatch

    at = now()
    for row in rows:
        if not row.is_in_digest and row.due_at <= at:
            enqueue(send_dispatch, row.organization_id, row.pk)


def send_one(organization_id: int, dispatch_id: int) -> None:
    """Send it, unless it was, is being, or is not due. What becomes of it is written down at the row."""
    with organization_scope(organization_id):
        row = (
            _waiting()
            .select_for_update(skip_locked=True, of=("self",))
            .select_related("fact", "organization", "member__user", "device", "chat")
            .filter(pk=dispatch_id, is_in_digest=False, due_at__lte=now())
            .first()
        )
        if row is not None:
            sender: Callable[[Dispatch], None] = import_string(SENDERS[row.channel])
            conclude([row], attempt(lambda: sender(row)))


def attempt(send: Callable[[], None]) -> SendingError | None:
    """What became of it. A defect of ours is logged, and tried again like trouble of others."""
    try:
        with transaction.atomic():
            try:
                send()
            except SendingError as error:
                # What was written down about it stays.
                return error
    except Exception as error:
        logger.exception("message_not_made")
        return TryLaterError(f"It could not be made ({type(error).__name__}).")
    return None


def conclude(rows: Sequence[Dispatch], error: SendingError | None) -> None:
    """Write down what became of rows that were sent together: sent, to be tried again, or given up."""
    at = now()
    first = rows[0]
    same = Dispatch.objects.filter(pk__in=[row.pk for row in rows])
    attempts = first.attempts + 1
    if error is None:
        same.update(sent_at=at, attempts=attempts, problem="")
        return
    problem = str(error)[:300]
    if isinstance(error, TryLaterError) and attempts < MOST_ATTEMPTS:
        same.update(due_at=at + wait_after(attempts, error), attempts=attempts, problem=problem)
        return
    if not isinstance(error, RefusedError):
        logger.warning("dispatch_given_up", dispatch=first.pk, channel=first.channel, error=problem)
    same.update(given_up_at=at, attempts=attempts, problem=problem)


def wait_after(attempts: int, error: TryLaterError) -> dt.timedelta:
    """What the receiver wishes, or 30 s, 1 min, 2 min, … an hour; not all at the same second."""
    if error.wait_seconds is not None:
        return dt.timedelta(seconds=error.wait_seconds)
    seconds = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** (attempts - 1))
    return dt.timedelta(seconds=seconds * random.uniform(1, 1.2))  # noqa: S311


def send_waiting() -> int:
    """Beat: what is due and was not sent, the oldest first, for some seconds. Returns how many were tried."""
    with unscoped("beat looks after what is on its way to anybody"):
        due = _waiting().filter(is_in_digest=False, due_at__lte=now()).order_by("due_at", "pk")
        found = list(due.values_list("organization_id", "pk")[:MOST_AT_ONCE])
    until = time.monotonic() + SWEEP_SECONDS
    number = 0
    for organization_id, dispatch_id in found:
        if time.monotonic() > until:
            break
        send_one(organization_id, dispatch_id)
        number += 1
    return number


def forget_old() -> int:
    """What was sent or given up a season ago is of no use any more; what waits stays. Returns how many went."""
    with unscoped("beat clears what every organization has sent"):
        long_ago = now() - dt.timedelta(days=KEPT_DAYS)
        gone, _ = Dispatch.objects.filter(Q(sent_at__lt=long_ago) | Q(given_up_at__lt=long_ago)).delete()
    return gone


def _waiting() -> QuerySet[Dispatch]:
    rows: QuerySet[Dispatch] = Dispatch.objects.filter(sent_at=None, given_up_at=None)
    return rows
