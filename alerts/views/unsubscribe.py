"""/unsubscribe/<token>/: what the links and headers of e-mails lead to, without a log-in (RFC 8058)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from alerts.notices.unsubscribe import read_token, turn_off


# The signature says whose wish it is: mail programs post without a session, and no session gives them more.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Looking asks, because some programs open every link; posting turns it off."""
    subscription = read_token(token)
    context = {"page": {"title": "No more e-mail"}, "subscription": subscription}
    if subscription is None:
        return render(request, "alerts/unsubscribe.html", context, status=404)
    if request.method == "POST":
        turn_off(subscription)
    return render(request, "alerts/unsubscribe.html", context | {"is_on": subscription.is_on})
