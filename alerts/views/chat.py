"""/o/<organization>/settings/channels/: rooms of chat programs that the organization is told in."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms.organization import refusals_in
from accounts.models import Team
from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import act_and_return, confirm_page, form_page, to
from alerts.catalogue import KINDS
from alerts.chat import rooms
from alerts.chat.forms import RoomForm
from alerts.models import ChatChannel

PAGE = "alerts:channels"


@require_safe
@require(Right.MANAGE_INTEGRATIONS)
def index(request: OrganizationRequest) -> HttpResponse:
    teams = dict(Team.objects.values_list("pk", "name"))
    rows = [
        {
            "room": room,
            "address": rooms.shown(room),
            "kinds": [KINDS[name].title for name in room.kinds if name in KINDS],
            "team": None if room.team_ref is None else teams.get(room.team_ref, "a team that is gone: nothing"),
        }
        for room in rooms.rooms()
    ]
    return render(request, "alerts/channels.html", {"page": {"title": "Channels"}, "rows": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_INTEGRATIONS)
def create(request: OrganizationRequest) -> HttpResponse:
    form = RoomForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            room = rooms.create_room(
                request.organization, form.cleaned_data["address"], form.values(), by=request.actor
            )
            messages.success(request, f"Channel {room.name} added. Test it to see whether it arrives.")
            return redirect(to(request, PAGE))
    return form_page(request, form, "New channel", submit="Add channel", back=to(request, PAGE))


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_INTEGRATIONS)
def change(request: OrganizationRequest, channel: int) -> HttpResponse:
    room = _room(channel)
    form = RoomForm(request.POST or None, room=room)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            rooms.change_room(room, form.cleaned_data["address"], form.values(), by=request.actor)
            messages.success(request, f"Channel {room.name} saved.")
            return redirect(to(request, PAGE))
    delete = ("Delete channel", to(request, "alerts:channel-delete", room.pk))
    return form_page(request, form, room.name, submit="Save channel", back=to(request, PAGE), delete=delete)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_INTEGRATIONS)
def delete(request: OrganizationRequest, channel: int) -> HttpResponse:
    room = _room(channel)
    return confirm_page(
        request,
        f"Delete channel {room.name}?",
        "Nothing is told there any more, and its address is gone.",
        submit="Delete channel",
        back=to(request, PAGE),
        act=lambda: rooms.delete_room(room, by=request.actor),
        done=f"Channel {room.name} deleted.",
    )


@require_POST
@require(Right.MANAGE_INTEGRATIONS)
def act(request: OrganizationRequest, channel: int) -> HttpResponse:
    """`do` is test, pause or resume."""
    room = _room(channel)
    acts = {
        "test": (lambda: rooms.try_room(room, by=request.actor), f"Test sent to {room.name}: look there."),
        "pause": (
            lambda: rooms.set_active(room, False, by=request.actor),
            f"{room.name} is paused: nothing is told there.",
        ),
        "resume": (lambda: rooms.set_active(room, True, by=request.actor), f"{room.name} is told again."),
    }
    do = request.POST.get("do", "")
    if do not in acts:
        messages.error(request, "Say whether to test, to pause or to resume it.")
        return redirect(to(request, PAGE))
    doing, done = acts[do]
    return act_and_return(request, doing, to(request, PAGE), done)


def _room(channel: int) -> ChatChannel:
    room: ChatChannel = get_object_or_404(ChatChannel.objects.select_related("organization"), pk=channel)
    return room
