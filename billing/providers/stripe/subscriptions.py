"""An organization's plan as a subscription at Stripe that charges nothing: the portal shows it, and cancels it.

Ours is the source: what is decided here is written there. What stands there otherwise than it was written or read last
was decided there, and is decided here too. docs/decisions/0014-plans-at-stripe.md
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING

import msgspec
import stripe
from django.db import transaction
from django.utils.timezone import now

from accounts.models import Organization
from billing.contracts import Contract
from billing.models import PlanVersion, StripeCustomer, StripeSubscription
from billing.providers.stripe.connection import BY, connected
from billing.subscriptions import cancel, resume
from core.errors import ApiError
from core.periods import day_start
from core.tenancy import organization_scope, unscoped

if TYPE_CHECKING:
    from stripe.params import SubscriptionCreateParams, SubscriptionUpdateParams

ENDED = ("canceled", "incomplete_expired")


class Shown(msgspec.Struct, frozen=True):
    """What the portal is to show. `renews_at` begins the next period; None of a trial, which Stripe ends by itself."""

    version: PlanVersion
    ends_with_period: bool
    trial_ends_at: dt.datetime | None
    renews_at: dt.datetime | None

    @property
    def price(self) -> str:
        return f"tokenledger-{self.version.plan.code}-{self.version.number}"


def organizations_with_a_card() -> list[int]:
    with unscoped("beat looks after every organization's plan at Stripe"):
        return sorted(StripeCustomer.objects.exclude(method_id="").values_list("organization_id", flat=True))


def mirror(organization: Organization, at: dt.datetime) -> None:
    """Make Stripe show the plan as it is now, where a card is. Raises stripe.StripeError; another call goes on there.

    Whoever ended it at Stripe is not given another one while the plan runs out.
    """
    with organization_scope(organization.pk):
        customer = StripeCustomer.objects.filter(organization=organization).first()
        if customer is None:
            return
        # Kept before Stripe is asked, so that its key is the same whenever this is done again.
        StripeSubscription.objects.get_or_create(organization=organization)
    with organization_scope(organization.pk), transaction.atomic():
        row = StripeSubscription.objects.select_for_update().get(organization=organization)
        shown = _shown(organization, at)
        is_there = bool(row.stripe_id) and row.status not in ENDED
        if shown is None:
            if is_there:
                _end(row)
        elif is_there:
            _update(row, shown)
        elif customer.method_id and not shown.ends_with_period:
            _create(row, shown, customer)


def follow(stripe_id: str) -> int | None:
    """What was decided there is decided here. Returns whose it is, None where nobody's. Needs `unscoped`."""
    known = StripeSubscription.objects.filter(stripe_id=stripe_id).first()
    if known is None:
        return None
    owner = int(known.organization_id)
    with organization_scope(owner), transaction.atomic():
        row = StripeSubscription.objects.select_for_update().get(organization=owner)
        found = connected().v1.subscriptions.retrieve(stripe_id)
        if row.stripe_id != stripe_id or row.status in ENDED:
            return owner
        _decide(row.organization, row, found)
        _keep(row, found)
    return owner


def _decide(organization: Organization, row: StripeSubscription, found: stripe.Subscription) -> None:
    shown = _shown(organization, now())
    if shown is None:
        return
    leaves = found.status in ENDED or _ends_with_period(found)
    if leaves == row.ends_with_period or leaves == shown.ends_with_period:
        return
    try:
        (cancel if leaves else resume)(organization, by=BY)
    except ApiError as refused:
        if refused.code not in ("not_subscribed", "nothing_scheduled"):
            raise


def _shown(organization: Organization, at: dt.datetime) -> Shown | None:
    """None where there is no plan with a fee. Needs the organization's scope."""
    contract = Contract.load(organization)
    if contract is None:
        return None
    today = contract.today(at)
    version = contract.version_on(today)
    if version is None or not version.base_fee_nanos:
        return None
    trial_ends_on = contract.trial_ends_on(today)
    ends_on = trial_ends_on or contract.period(today).ends_on
    then = contract.version_on(ends_on)
    return Shown(
        version,
        ends_with_period=then is None or not then.base_fee_nanos,
        trial_ends_at=day_start(trial_ends_on, contract.zone) if trial_ends_on else None,
        renews_at=None if trial_ends_on else day_start(ends_on, contract.zone),
    )


# ── At Stripe ──


def _create(row: StripeSubscription, shown: Shown, customer: StripeCustomer) -> None:
    wanted: SubscriptionCreateParams = {
        "customer": customer.stripe_id,
        "items": [{"price": _price(shown)}],
        "metadata": {"organization": str(row.organization_id)},
        "proration_behavior": "none",
    }
    if shown.trial_ends_at is not None:
        wanted["trial_end"] = int(shown.trial_ends_at.timestamp())
    elif shown.renews_at is not None:
        wanted["billing_cycle_anchor"] = int(shown.renews_at.timestamp())
    made = connected().v1.subscriptions.create(wanted, {"idempotency_key": f"{row.key}-create"})
    row.price = shown.price
    _keep(row, made)


def _update(row: StripeSubscription, shown: Shown) -> None:
    if (row.price, row.ends_with_period) == (shown.price, shown.ends_with_period):
        return
    api = connected()
    found = api.v1.subscriptions.retrieve(str(row.stripe_id))
    if found.status in ENDED:
        _keep(row, found)
        return
    change: SubscriptionUpdateParams = {
        "cancel_at_period_end": shown.ends_with_period,
        "proration_behavior": "none",
    }
    if row.price != shown.price:
        change["items"] = [{"id": found.items.data[0].id, "price": _price(shown)}]
    made = api.v1.subscriptions.update(str(row.stripe_id), change)
    row.price = shown.price
    _keep(row, made)


def _end(row: StripeSubscription) -> None:
    api = connected()
    found = api.v1.subscriptions.retrieve(str(row.stripe_id))
    if found.status not in ENDED:
        found = api.v1.subscriptions.cancel(str(row.stripe_id))
    _keep(row, found)


def _keep(row: StripeSubscription, found: stripe.Subscription) -> None:
    row.stripe_id, row.status = found.id, found.status
    row.ends_with_period = found.status in ENDED or _ends_with_period(found)
    if found.status in ENDED:
        # Kept before another one is made, so that it is made once.
        row.key = uuid.uuid4()
    row.save(update_fields=["key", "stripe_id", "status", "price", "ends_with_period"])


def _ends_with_period(found: stripe.Subscription) -> bool:
    return found.cancel_at_period_end or found.cancel_at is not None


def _price(shown: Shown) -> str:
    """Of nothing: what the plan costs is on our invoices. Made once for a plan's version."""
    api = connected()
    for known in api.v1.prices.list({"lookup_keys": [shown.price], "active": True}).data:
        return known.id
    made = api.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 0,
            "recurring": {"interval": "month"},
            "lookup_key": shown.price,
            "nickname": shown.version.name,
            "product_data": {"name": f"{shown.version.name} plan, charged by invoice"},
        },
        {"idempotency_key": f"{shown.price}-price"},
    )
    return made.id
