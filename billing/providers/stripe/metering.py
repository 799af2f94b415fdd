"""Usage told to Stripe's meter, for those who bill it there.

What is to be told is noted first, as the difference between the ledger and what was noted before, then told in that
order. So late usage and corrections are events of their own, what an outage left waits, and each counts once: Stripe
knows it by its identifier for a day, and after that its own sum says whether it came.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict

import stripe
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Count, Sum

from accounts.models import Organization
from billing.models import StripeCustomer, StripeMeterEvent
from billing.providers.stripe.connection import connected, is_connected
from core.periods import day_start, local_day
from core.tenancy import organization_scope, unscoped
from metering.query.run import run
from metering.query.spec import UsageQuery

logger = structlog.get_logger(__name__)

# For how long usage is looked at again.
LATE_FOR = dt.timedelta(days=400)
# Stripe takes what happened within 35 days; a day of that is for whatever may be in the way.
TAKEN_FOR = dt.timedelta(days=34)
# Stripe knows an identifier for at least 24 hours.
KNOWN_FOR = dt.timedelta(hours=23)

# Day, model, type of token.
Key = tuple[dt.date, str, str]


def is_metered() -> bool:
    return is_connected() and bool(settings.STRIPE_METER_EVENT)


def organizations_to_report() -> list[int]:
    """Ids of those Stripe knows."""
    with unscoped("beat looks after every organization's usage"):
        return sorted(StripeCustomer.objects.values_list("organization_id", flat=True))


def report(organization: Organization, at: dt.datetime) -> None:
    """Note what is new, and tell all that waits. Raises stripe.StripeError; another call goes on from there."""
    note(organization, at)
    while _send_next(organization, at):
        pass


# ── Noting ──


def note(organization: Organization, at: dt.datetime) -> None:
    """From the day of the first call on; days before that day are never told."""
    today = local_day(at, organization.zone)
    with organization_scope(organization.pk), transaction.atomic():
        customer = StripeCustomer.objects.select_for_update().filter(organization=organization).first()
        if customer is None:
            return
        if customer.metered_from is None:
            customer.metered_from = today
            customer.save(update_fields=["metered_from"])
        since = max(customer.metered_from, today - LATE_FOR)
        noted = _noted(since)
        used = _used(organization, since, today)
        StripeMeterEvent.objects.bulk_create(
            _event(customer, organization, key, noted[key][1], used.get(key, 0) - noted[key][0], at)
            for key in sorted({*used, *noted})
            if used.get(key, 0) != noted[key][0]
        )


def _noted(since: dt.date) -> dict[Key, tuple[int, int]]:
    """Tokens, and in how many events."""
    rows = StripeMeterEvent.objects.filter(day__gte=since).values("day", "model", "token_type")
    found: dict[Key, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows.annotate(total=Sum("tokens"), events=Count("pk")):
        found[row["day"], row["model"], row["token_type"]] = (row["total"], row["events"])
    return found


def _used(organization: Organization, since: dt.date, today: dt.date) -> dict[Key, int]:
    zone = organization.zone
    tomorrow = day_start(today + dt.timedelta(days=1), zone)
    query = UsageQuery(organization.pk, day_start(since, zone), tomorrow, zone, interval="day", group_by=("model",))
    found: dict[Key, int] = {}
    for row in run(query).rows:
        day, model = local_day(row.start, zone), row.group["model"].label or ""
        for token_type, tokens in (("input", row.figures.prompt_tokens), ("output", row.figures.completion_tokens)):
            if tokens:
                found[day, model, token_type] = tokens
    return found


def _event(
    customer: StripeCustomer, organization: Organization, key: Key, number: int, tokens: int, at: dt.datetime
) -> StripeMeterEvent:
    day, model, token_type = key
    name = hashlib.sha256(model.encode()).hexdigest()[:16]
    begins = day_start(day, organization.zone)
    return StripeMeterEvent(
        organization=organization,
        day=day,
        model=model,
        token_type=token_type,
        number=number,
        tokens=tokens,
        identifier=f"{customer.stripe_id}-{day:%Y%m%d}-{name}-{token_type}-{number}",
        happened_at=begins if at - begins < TAKEN_FOR else _minute(at),
        noted_at=at,
    )


# ── Telling ──


def _send_next(organization: Organization, at: dt.datetime) -> bool:
    """The oldest one that waits; False where none does. One at a time, so that what Stripe's sum says is clear."""
    with organization_scope(organization.pk), transaction.atomic():
        customer = StripeCustomer.objects.select_for_update().get(organization=organization)
        event = StripeMeterEvent.objects.filter(sent_at=None).order_by("pk").first()
        if event is None:
            return False
        if at - event.noted_at < KNOWN_FOR or not _has_come(customer, event):
            if at - event.happened_at > TAKEN_FOR:
                event.happened_at = _minute(at)
            _send(customer, event)
        event.sent_at = at
        event.save(update_fields=["sent_at", "happened_at"])
        return True


def _send(customer: StripeCustomer, event: StripeMeterEvent) -> None:
    try:
        connected().v1.billing.meter_events.create(
            {
                "event_name": settings.STRIPE_METER_EVENT,
                "identifier": event.identifier,
                "timestamp": int(event.happened_at.timestamp()),
                "payload": {
                    "stripe_customer_id": customer.stripe_id,
                    "value": str(event.tokens),
                    "model": event.model or "none",
                    "token_type": event.token_type,
                },
            },
            {"idempotency_key": event.identifier},
        )
    except stripe.InvalidRequestError as error:
        # It came, and the answer was lost.
        if "already exists with identifier" not in str(error):
            raise


def _has_come(customer: StripeCustomer, event: StripeMeterEvent) -> bool:
    """Whether Stripe's sum of that minute has it beside those that were told. For one whose identifier is forgotten."""
    start = int(event.happened_at.timestamp())
    meter = _meter()
    found = connected().v1.billing.meters.event_summaries.list(
        meter.id, {"customer": customer.stripe_id, "start_time": start, "end_time": start + 60}
    )
    there = sum(int(summary.aggregated_value) for summary in found.data)
    told = StripeMeterEvent.objects.filter(happened_at=event.happened_at).exclude(sent_at=None)
    ours = int(told.aggregate(total=Sum("tokens"))["total"] or 0)
    if there == ours:
        return False
    if there == ours + event.tokens:
        return True
    raise UnclearMeterError(f"Stripe's meter has {there} for {event.identifier}, beside {ours} that were told")


class UnclearMeterError(RuntimeError):
    """Stripe's sum is neither with nor without an event: somebody else told the same meter something."""


def _meter() -> stripe.billing.Meter:
    for meter in connected().v1.billing.meters.list({"status": "active", "limit": 100}).auto_paging_iter():
        if meter.event_name == settings.STRIPE_METER_EVENT:
            return meter
    raise UnclearMeterError(f"Stripe has no active meter of {settings.STRIPE_METER_EVENT}")


def _minute(at: dt.datetime) -> dt.datetime:
    return at.astimezone(dt.UTC).replace(second=0, microsecond=0)
