"""What workers do for alerts."""

from __future__ import annotations

import random

import structlog
from celery import Task, shared_task
from django.utils.timezone import now

from alerts import facts, summaries
from alerts.channels.errors import TryLaterError
from alerts.models import PushDevice
from alerts.notices import digest, sending
from alerts.push.delivery import deliver
from core.tenancy import unscoped

logger = structlog.get_logger(__name__)

MOST_RETRIES = 6
FIRST_WAIT_SECONDS = 15


@shared_task(name="alerts.push", bind=True, max_retries=MOST_RETRIES)
def push(self: Task, device_id: int, content: dict[str, str]) -> None:
    """Tell one device; again after 15 s, 30 s, … 8 min, or when its push service wishes, while that is in trouble."""
    device = PushDevice.objects.filter(pk=device_id).first()
    if device is None:
        return
    try:
        deliver(device, content)
    except TryLaterError as error:
        retries = self.request.retries
        if retries >= MOST_RETRIES:
            logger.warning("push_given_up", device=device_id, error=str(error))
            return
        wait = error.wait_seconds or FIRST_WAIT_SECONDS * 2**retries * random.uniform(1, 1.3)  # noqa: S311
        raise self.retry(exc=error, countdown=wait) from error


@shared_task(name="alerts.spread_fact")
def spread_fact(organization_id: int, fact_id: int) -> None:
    facts.spread(organization_id, fact_id)


@shared_task(name="alerts.spread_facts")
def spread_facts() -> None:
    """Beat: facts whose task was lost, with the queue or with the process that committed them."""
    for organization_id, fact_id in facts.waiting():
        try:
            facts.spread(organization_id, fact_id)
        except Exception:
            # It is tried again with the next beat; the others are not to wait for it.
            logger.exception("fact_not_spread", organization=organization_id, fact=fact_id)


@shared_task(name="alerts.summarize_day")
def summarize_day(organization_id: int) -> None:
    summaries.summarize(organization_id, now())


@shared_task(name="alerts.summarize_days")
def summarize_days() -> None:
    """Beat: the day that ended, in each organization's zone, where somebody is told of it."""
    with unscoped("beat looks for who wants to be told of their day"):
        wanted = summaries.wanted_by(summaries.DAILY)
    for organization_id in wanted:
        summarize_day.delay(organization_id)


@shared_task(name="alerts.summarize_week")
def summarize_week(organization_id: int) -> None:
    summaries.summarize_week(organization_id, now())


@shared_task(name="alerts.summarize_weeks")
def summarize_weeks() -> None:
    """Beat: the week that ended, in each organization's zone, where somebody is told of it."""
    with unscoped("beat looks for who wants to be told of their week"):
        wanted = summaries.wanted_by(summaries.WEEKLY)
    for organization_id in wanted:
        summarize_week.delay(organization_id)


@shared_task(name="alerts.send_dispatch")
def send_dispatch(organization_id: int, dispatch_id: int) -> None:
    sending.send_one(organization_id, dispatch_id)


@shared_task(name="alerts.send_waiting")
def send_waiting() -> None:
    """Beat: messages whose task was lost, whose quiet hours are over, or that were not taken before."""
    sending.send_waiting()


@shared_task(name="alerts.forget_messages")
def forget_messages() -> None:
    """Beat: rows of what was sent long ago."""
    sending.forget_old()


@shared_task(name="alerts.send_digest")
def send_digest(organization_id: int, member_id: int) -> None:
    digest.send_digest(organization_id, member_id)


@shared_task(name="alerts.send_digests")
def send_digests() -> None:
    """Beat: whose hour has come."""
    for organization_id, member_id in digest.due_members():
        send_digest.delay(organization_id, member_id)
