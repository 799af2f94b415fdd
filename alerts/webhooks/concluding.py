"""What came of an attempt: taken, tried again later, or given up; and what that says about the webhook."""

from __future__ import annotations

import datetime as dt

from accounts import audit
from accounts.audit import Actor
from alerts.catalogue import TEST
from alerts.models import DeliveryState, DisabledBy, Webhook, WebhookAttempt, WebhookDelivery
from alerts.webhooks import schedule
from alerts.webhooks.claiming import Claim
from alerts.webhooks.outbox import page_of
from alerts.webhooks.posting import Answer
from core.facts import Fact, moment, tell
from core.tenancy import organization_scope

# So many failures in a row open the circuit, for longer each time.
OPENS_AFTER = 5
SHORTEST_OPEN = dt.timedelta(seconds=30)
LONGEST_OPEN = dt.timedelta(minutes=15)
DISABLED_AFTER = dt.timedelta(days=5)
GONE = 410
BY = Actor.of_command("webhooks")


def conclude(
    organization_id: int, claim: Claim, sent_headers: dict[str, str], started_at: dt.datetime, answer: Answer
) -> dt.datetime | None:
    """Write it down. Returns when it is tried again, None where it is not.

    Nothing where the claim ran out and another worker has it, or where the webhook was removed.
    """
    at = started_at + dt.timedelta(milliseconds=answer.duration_ms)
    with organization_scope(organization_id):
        webhook: Webhook | None = (
            Webhook.objects.select_for_update(of=["self"], no_key=True)
            .select_related("organization")
            .filter(deliveries=claim.delivery)
            .first()
        )
        delivery: WebhookDelivery | None = (
            WebhookDelivery.objects.select_for_update().filter(pk=claim.delivery, claimed_until=claim.until).first()
        )
        if webhook is None or delivery is None:
            return None
        _note(delivery, claim, sent_headers, started_at, answer)
        if answer.problem:
            _failed(webhook, delivery, answer, at)
        else:
            _taken(webhook, delivery, at)
        delivery.save()
        return delivery.due_at if delivery.state == DeliveryState.WAITING else None


def _note(
    delivery: WebhookDelivery, claim: Claim, sent_headers: dict[str, str], started_at: dt.datetime, answer: Answer
) -> None:
    delivery.claimed_until = None
    delivery.tries += 1
    delivery.attempts_made += 1
    delivery.last_status, delivery.last_problem = answer.status, answer.problem
    WebhookAttempt.objects.create(
        organization_id=delivery.organization_id,
        delivery=delivery,
        number=delivery.attempts_made,
        url=claim.url,
        sent_headers=sent_headers,
        started_at=started_at,
        duration_ms=answer.duration_ms,
        status=answer.status,
        headers=answer.headers,
        answer=answer.body,
        problem=answer.problem,
    )


def _taken(webhook: Webhook, delivery: WebhookDelivery, at: dt.datetime) -> None:
    delivery.state, delivery.delivered_at = DeliveryState.DELIVERED, at
    if webhook.failing_since is not None:
        webhook.failing_since = webhook.open_until = None
        webhook.failures = 0
        webhook.save(update_fields=["failing_since", "open_until", "failures"])


def _failed(webhook: Webhook, delivery: WebhookDelivery, answer: Answer, at: dt.datetime) -> None:
    asked = schedule.asked_seconds(answer.headers.get("retry-after", ""), at)
    wait = None if delivery.kind == TEST.name or answer.status == GONE else schedule.wait(delivery.tries, asked)
    if wait is None:
        delivery.state = DeliveryState.FAILED
    else:
        delivery.due_at = at + wait
    failing_since = webhook.failing_since or at
    webhook.failing_since = failing_since
    webhook.failures += 1
    webhook.open_until = _open_until(webhook.failures, at)
    webhook.save(update_fields=["failing_since", "failures", "open_until"])
    if webhook.disabled_at is not None:
        return
    if answer.status == GONE:
        _disable(webhook, DisabledBy.GONE, failing_since, answer.problem, at)
    elif at - failing_since >= DISABLED_AFTER:
        _disable(webhook, DisabledBy.FAILING, failing_since, answer.problem, at)


def _open_until(failures: int, at: dt.datetime) -> dt.datetime | None:
    beyond = failures - OPENS_AFTER
    if beyond < 0:
        return None
    wait: dt.timedelta = SHORTEST_OPEN * 2 ** min(beyond, 10)
    return at + min(wait, LONGEST_OPEN)


def _disable(webhook: Webhook, why: DisabledBy, since: dt.datetime, problem: str, at: dt.datetime) -> None:
    audit.change(BY, "webhook.disable", webhook, {"disabled_at": at, "disabled_by": why.value})
    tell(
        Fact(
            "webhook.disabled",
            webhook.organization_id,
            key=f"webhook:{webhook.pk}:{since.isoformat()}",
            happened_at=at,
            data={
                "page": page_of(webhook),
                "webhook": webhook.pk,
                "endpoint": webhook.url,
                "reason": why.value,
                "failing_since": moment(since),
                "last_problem": problem,
            },
        )
    )
