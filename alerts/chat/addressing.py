"""A fact → rows of what is to be sent to rooms that want its kind, and its team."""

from __future__ import annotations

from alerts.models import ChatChannel, Dispatch, ToldFact
from alerts.notices.audience import is_for_people, is_for_those_named, team_ids_of
from alerts.notices.sending import hasten


def address(fact: ToldFact) -> None:
    """Called once for each fact, in its organization's scope (alerts/channels)."""
    if not is_for_people(fact):
        return
    rooms = list(ChatChannel.objects.filter(is_active=True, kinds__contains=[fact.kind]).order_by("pk"))
    if not rooms:
        return
    teams = team_ids_of(fact.scope, fact.ref)
    is_for_every_room = not is_for_those_named(fact)
    hasten(
        Dispatch.objects.bulk_create(
            Dispatch(organization_id=fact.organization_id, fact=fact, channel="chat", chat=room)
            for room in rooms
            if (is_for_every_room if room.team_ref is None else room.team_ref in teams)
        )
    )
