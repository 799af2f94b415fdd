"""/o/<organization>/settings/webhooks/: programs that are told, and what became of each message."""

from __future__ import annotations

import datetime as dt
import json

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms.organization import refusals_in
from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import act_and_return, confirm_page, form_page, to
from alerts.catalogue import KINDS
from alerts.models import DeliveryState, Webhook, WebhookDelivery
from alerts.webhooks import outbox, records
from alerts.webhooks.forms import ReplayForm, RotationForm, WebhookForm
from alerts.webhooks.signing import public_id
from core.errors import ApiError
from core.pagination import Page, paginate

PAGE = "alerts:webhooks"
ROWS_A_PAGE = "50"
# While a message is about to be sent, the page that is open looks again.
SOON = dt.timedelta(seconds=30)
_NEW_EVENTS = ["usage.threshold", "budget.threshold", "credits.low", "invoice.finalized"]


@require_safe
@require(Right.MANAGE_INTEGRATIONS)
def index(request: OrganizationRequest) -> HttpResponse:
    counts = {state.value: Count("deliveries", filter=Q(deliveries__state=state)) for state in DeliveryState}
    context = {
        "page": {"title": "Webhooks"},
        "webhooks": records.webhooks().annotate(**counts),
        "days": outbox.KEPT.days,
        "docs_url": reverse("metering-api:docs"),
    }
    return render(request, "alerts/webhooks.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_INTEGRATIONS)
def create(request: OrganizationRequest) -> HttpResponse:
    form = WebhookForm(request.POST or None, initial={"events": _NEW_EVENTS})
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            webhook, secret = records.create(request.organization, form.values(), by=request.actor)
            return _show_secret(request, webhook, secret)
    return form_page(request, form, "New webhook", submit="Add webhook", back=to(request, PAGE))


@require_safe
@require(Right.MANAGE_INTEGRATIONS)
def detail(request: OrganizationRequest, webhook: int) -> HttpResponse:
    return _detail(request, _found(webhook), ReplayForm(initial=_replay_initial(request, _found(webhook))))


def _detail(request: OrganizationRequest, webhook: Webhook, form: ReplayForm) -> HttpResponse:
    state, kind = request.GET.get("state", ""), request.GET.get("type", "")
    rows = _rows(webhook, state, kind)
    status = 422 if form.errors else 200
    try:
        page = paginate(rows, {**request.GET.dict(), "limit": ROWS_A_PAGE})
    except ApiError:
        page, status = Page([], None), 422
    following = request.GET.copy()
    following["cursor"] = page.next_cursor or ""
    context = {
        "page": {"title": webhook.url},
        "webhook": webhook,
        "events": "Every event" if records.EVERYTHING in webhook.events else ", ".join(webhook.events),
        "deliveries": page.rows,
        "states": _states(request.GET, state),
        "kinds": [kind for kind in KINDS if records.hears(webhook, kind)],
        "state": state,
        "kind": kind,
        "is_under_way": webhook.disabled_at is None and any(_is_due_soon(row) for row in page.rows),
        "is_filtered": bool(state or kind or "cursor" in request.GET),
        "next": following.urlencode() if page.next_cursor else "",
        "form": form,
        "now": now(),
        "days": outbox.KEPT.days,
    }
    return render(request, "alerts/webhook.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_INTEGRATIONS)
def change(request: OrganizationRequest, webhook: int) -> HttpResponse:
    row = _found(webhook)
    form = WebhookForm(request.POST or None, webhook=row)
    back = to(request, "alerts:webhook", row.pk)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            records.change(row, form.values(), by=request.actor)
            messages.success(request, "Webhook saved.")
            return redirect(back)
    delete = ("Delete webhook", to(request, "alerts:webhook-delete", row.pk))
    return form_page(request, form, "Change webhook", submit="Save webhook", back=back, delete=delete)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_INTEGRATIONS)
def rotate(request: OrganizationRequest, webhook: int) -> HttpResponse:
    row = _found(webhook)
    form = RotationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            secret = records.rotate(row, by=request.actor, overlap=form.span())
            return _show_secret(request, row, secret)
    return form_page(
        request,
        form,
        "Rotate the secret",
        submit="Rotate secret",
        back=to(request, "alerts:webhook", row.pk),
        lead="Until the former secret ends, messages are signed with both: programs may take either.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_INTEGRATIONS)
def delete(request: OrganizationRequest, webhook: int) -> HttpResponse:
    row = _found(webhook)
    return confirm_page(
        request,
        "Delete this webhook?",
        f"Nothing is sent to {row.url} any more, and its delivery log goes.",
        submit="Delete webhook",
        back=to(request, PAGE),
        act=lambda: records.remove(row, by=request.actor),
        done="Webhook deleted.",
    )


@require_POST
@require(Right.MANAGE_INTEGRATIONS)
def act(request: OrganizationRequest, webhook: int) -> HttpResponse:
    """`do` is test, enable or disable."""
    row = _found(webhook)
    back = to(request, "alerts:webhook", row.pk)
    do = request.POST.get("do", "")
    if do == "test":
        return act_and_return(
            request,
            lambda: (outbox.send_test(row, by=request.actor), None)[1],
            back,
            "Test message on its way. What became of it stands in the log below.",
        )
    if do == "disable":
        return act_and_return(request, lambda: records.disable(row, by=request.actor), back, "Webhook disabled.")
    if do == "enable":
        return act_and_return(request, lambda: _enable(request, row), back, "Webhook enabled. What waited is sent.")
    messages.error(request, "Say whether to test, enable or disable it.")
    return redirect(back)


@require_POST
@require(Right.MANAGE_INTEGRATIONS)
def replay(request: OrganizationRequest, webhook: int) -> HttpResponse:
    row = _found(webhook)
    form = ReplayForm(request.POST)
    if form.is_valid():
        with refusals_in(form):
            found = outbox.replay_since(
                row,
                form.since_in(request.organization.zone),
                by=request.actor,
                with_delivered=form.cleaned_data["with_delivered"],
            )
            messages.success(request, f"{found:,} {'message is' if found == 1 else 'messages are'} sent again.")
            return redirect(to(request, "alerts:webhook", row.pk))
    return _detail(request, row, form)


@require_safe
@require(Right.MANAGE_INTEGRATIONS)
def delivery(request: OrganizationRequest, webhook: int, delivery: int) -> HttpResponse:
    row = _delivery(webhook, delivery)
    context = {
        "page": {"title": row.kind},
        "webhook": row.webhook,
        "delivery": row,
        "message_id": public_id(row.message_id),
        "body": json.dumps(json.loads(row.body), indent=2, ensure_ascii=False),
        "attempts": row.attempts.order_by("-number"),
        "now": now(),
    }
    return render(request, "alerts/webhook_delivery.html", context)


@require_POST
@require(Right.MANAGE_INTEGRATIONS)
def delivery_replay(request: OrganizationRequest, webhook: int, delivery: int) -> HttpResponse:
    row = _delivery(webhook, delivery)
    back = to(request, "alerts:webhook-delivery", webhook, delivery)
    return act_and_return(request, lambda: outbox.replay(row, by=request.actor), back, "Sent again.")


def _enable(request: OrganizationRequest, webhook: Webhook) -> None:
    records.enable(webhook, by=request.actor)
    outbox.hasten(webhook)


def _show_secret(request: OrganizationRequest, webhook: Webhook, secret: str) -> HttpResponse:
    """The answer to the POST itself: nothing is stored from which it could be shown again."""
    context = {"page": {"title": "Secret of the webhook"}, "webhook": webhook, "secret": secret}
    response = render(request, "alerts/webhook_secret.html", context)
    add_never_cache_headers(response)
    return response


def _found(webhook: int) -> Webhook:
    row: Webhook = get_object_or_404(Webhook.objects.select_related("organization"), pk=webhook)
    return row


def _delivery(webhook: int, delivery: int) -> WebhookDelivery:
    rows = WebhookDelivery.objects.select_related("webhook__organization")
    row: WebhookDelivery = get_object_or_404(rows, pk=delivery, webhook=webhook)
    return row


def _rows(webhook: Webhook, state: str, kind: str) -> QuerySet[WebhookDelivery]:
    rows = WebhookDelivery.objects.filter(webhook=webhook)
    if state in DeliveryState.values:
        rows = rows.filter(state=state)
    return rows.filter(kind=kind) if kind else rows


def _is_due_soon(row: WebhookDelivery) -> bool:
    return row.state == DeliveryState.WAITING and row.due_at <= now() + SOON


def _states(query: QueryDict, chosen: str) -> list[dict[str, object]]:
    options = []
    for value, label in (("", "All"), *DeliveryState.choices):
        address = query.copy()
        for name in ("cursor", "state"):
            address.pop(name, None)
        if value:
            address["state"] = value
        options.append({"label": label, "url": f"?{address.urlencode()}", "is_current": chosen == value})
    return options


def _replay_initial(request: OrganizationRequest, webhook: Webhook) -> dict[str, object]:
    """Since it failed or was disabled: what nobody took."""
    since = webhook.failing_since or webhook.disabled_at
    return {"since": since.astimezone(request.organization.zone).replace(tzinfo=None)} if since else {}
