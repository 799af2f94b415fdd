"""/o/<organization>/settings/upstreams/: where the gateway sends calls, in which order, and whether it works."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms.organization import refusals_in
from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import act_and_return, confirm_page, form_page, to
from metering.gateway import upstreams
from metering.gateway.forms import BEGINNINGS, UpstreamForm
from metering.gateway.probe import Probe, probe
from metering.gateway.providers import provider_of
from metering.models import Upstream

PAGE = "metering:upstreams"


@require_safe
@require(Right.MANAGE_INTEGRATIONS)
def index(request: OrganizationRequest) -> HttpResponse:
    return _list(request)


def _list(request: OrganizationRequest, asked: Upstream | None = None, answer: Probe | None = None) -> HttpResponse:
    """The page; with what `asked` answered, when it has just been tested."""
    rows = list(upstreams.in_order())
    context = {
        "page": {"title": "Upstreams"},
        "rows": [
            {
                "upstream": row,
                "provider": provider_of(row),
                "credential": upstreams.credential_state(row),
                "is_first": place == 0,
                "is_last": place == len(rows) - 1,
                "probe": answer if asked is not None and row.pk == asked.pk else None,
            }
            for place, row in enumerate(rows)
        ],
        "base_url": settings.BASE_URL,
    }
    return render(request, "metering/upstreams.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_INTEGRATIONS)
def create(request: OrganizationRequest) -> HttpResponse:
    """`?protocol=` begins with the best known server of that protocol."""
    protocol = request.GET.get("protocol", "")
    initial = {"protocol": protocol, **BEGINNINGS[protocol]} if protocol in BEGINNINGS else None
    form = UpstreamForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            row = upstreams.create_upstream(request.organization, by=request.actor, **form.values())
            messages.success(request, f"Upstream {row.name} added. Test it to see whether it answers.")
            return redirect(to(request, PAGE))
    return form_page(request, form, "New upstream", submit="Add upstream", back=to(request, PAGE))


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_INTEGRATIONS)
def change(request: OrganizationRequest, upstream: int) -> HttpResponse:
    row = get_object_or_404(Upstream.objects.all(), pk=upstream)
    form = UpstreamForm(request.POST or None, upstream=row)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            upstreams.update_upstream(row, form.values(), by=request.actor)
            messages.success(request, f"Upstream {row.name} saved.")
            return redirect(to(request, PAGE))
    delete = ("Delete upstream", to(request, "metering:upstream-delete", row.pk))
    return form_page(request, form, row.name, submit="Save upstream", back=to(request, PAGE), delete=delete)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_INTEGRATIONS)
def delete(request: OrganizationRequest, upstream: int) -> HttpResponse:
    row = get_object_or_404(Upstream.objects.all(), pk=upstream)
    return confirm_page(
        request,
        f"Delete upstream {row.name}?",
        "No new call goes there, and its credential is gone. What was metered stays in every report.",
        submit="Delete upstream",
        back=to(request, PAGE),
        act=lambda: upstreams.delete_upstream(row, by=request.actor),
        done=f"Upstream {row.name} deleted.",
    )


@require_POST
@require(Right.MANAGE_INTEGRATIONS)
def act(request: OrganizationRequest, upstream: int) -> HttpResponse:
    """`do` is earlier, later, pause or resume."""
    row = get_object_or_404(Upstream.objects.select_related("organization"), pk=upstream)
    steps = {"earlier": -1, "later": 1}
    states = {"pause": (False, "paused"), "resume": (True, "takes calls again")}
    do = request.POST.get("do", "")
    if do in steps:
        return act_and_return(
            request,
            lambda: upstreams.move_upstream(row, steps[do], by=request.actor),
            to(request, PAGE),
            f"{row.name} is asked {do} now.",
        )
    if do not in states:
        messages.error(request, "Say whether to ask it earlier or later, to pause or to resume it.")
        return redirect(to(request, PAGE))
    is_active, word = states[do]
    return act_and_return(
        request,
        lambda: (upstreams.update_upstream(row, {"is_active": is_active}, by=request.actor), None)[1],
        to(request, PAGE),
        f"{row.name} {word}." if is_active else f"{row.name} is {word}: no new call goes there.",
    )


@require_POST
@require(Right.MANAGE_INTEGRATIONS)
def test(request: OrganizationRequest, upstream: int) -> HttpResponse:
    """Ask it for its models. With scripts only the answer's place on the page is replaced."""
    row = get_object_or_404(Upstream.objects.all(), pk=upstream)
    answer = probe(upstreams.route_of(row))
    if request.htmx:
        return render(request, "metering/_upstream_probe.html", {"probe": answer, "upstream": row})
    return _list(request, row, answer)
