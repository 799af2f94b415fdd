"""/accounts/notifications/: the browsers a person is told in."""

from __future__ import annotations

from typing import cast

import structlog
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from alerts.models import PushDevice
from alerts.push import Message
from alerts.push import devices as known
from alerts.push.keys import public_key
from alerts.tasks import push
from core.encryption import SecretLostError
from core.errors import ApiError
from metering.tasks import enqueue

logger = structlog.get_logger(__name__)


@require_safe
@login_required
def devices(request: HttpRequest) -> HttpResponse:
    rows = [{"device": device, "digest": known.digest_of(device)} for device in known.devices_of(_person(request))]
    return render(request, "alerts/devices.html", {"rows": rows, "public_key": _public_key()})


@require_safe
@never_cache
@login_required
def subscription_state(request: HttpRequest) -> JsonResponse:
    """What the service worker needs to subscribe anew: it has no page to read it from."""
    return JsonResponse({"key": _public_key(), "csrf_token": get_token(request)})


@require_POST
@login_required
def subscribe(request: HttpRequest) -> HttpResponse:
    """From static/js/notifications.js and, when a browser renews its subscription, the service worker."""
    try:
        known.subscribe(_person(request), request.body, request.headers.get("User-Agent", ""))
    except ApiError as error:
        return JsonResponse({"message": error.message}, status=error.status)
    return JsonResponse({"url": reverse("alerts:devices")}, status=201)


@require_POST
@login_required
def remove(request: HttpRequest, device: int) -> HttpResponse:
    _device(request, device).delete()
    messages.success(request, "Device removed. It is told nothing any more.")
    return redirect("alerts:devices")


@require_POST
@login_required
def test(request: HttpRequest, device: int) -> HttpResponse:
    message = Message(
        "It works", "This device is told when something needs attention.", reverse("reports:start"), "test"
    )
    enqueue(push, _device(request, device).pk, message.content)
    messages.success(request, "Test message sent. It arrives within some seconds.")
    return redirect("alerts:devices")


def _person(request: HttpRequest) -> User:
    return cast("User", request.user)


def _device(request: HttpRequest, device: int) -> PushDevice:
    return get_object_or_404(known.devices_of(_person(request)), pk=device)


def _public_key() -> str:
    """Empty where the pair cannot be read: then no device can be added, and the page says why."""
    try:
        return public_key()
    except SecretLostError:
        logger.exception("push_key_lost")
        return ""
