"""The rooms an organization is told in: set up, changed, paused, tried.

An address is a secret: it is stored encrypted, shown by its host and last characters, and left out of the audit log.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization, Team
from accounts.organizations import validated
from alerts.catalogue import KINDS
from alerts.channels.chat import post
from alerts.channels.errors import SendingError
from alerts.chat.payloads import payload_of
from alerts.letters import Letter
from alerts.models import ChatChannel
from core import emails
from core.encryption import SecretLostError, encrypt, renew
from core.errors import ApiError
from core.net import checked_endpoint
from core.tenancy import unscoped

MOST_ROOMS = 50
LONGEST_ADDRESS = 2000
HINT_LENGTH = 4
_AUDITED = ("name", "dialect", "kinds", "team_ref", "is_active")


def rooms() -> QuerySet[ChatChannel]:
    """The organization's, by name. Needs its scope, as everything here."""
    found: QuerySet[ChatChannel] = ChatChannel.objects.order_by("name", "pk")
    return found


def create_room(organization: Organization, address: str, values: Mapping[str, Any], *, by: Actor) -> ChatChannel:
    """Raises ApiError 422 for what does not hold, 409 for a name that is taken and for more than MOST_ROOMS."""
    room = ChatChannel(organization=organization, **values)
    _seal(room, address)
    _check(room)
    with _unless_taken(), transaction.atomic():
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        if ChatChannel.objects.count() >= MOST_ROOMS:
            raise ApiError(409, "too_many_channels", f"An organization has at most {MOST_ROOMS} channels.")
        room.save(force_insert=True)
        audit.record(
            by, "chat_channel.create", room, {**audit.creation(room, _AUDITED), "address": (None, shown(room))}
        )
    return room


def change_room(room: ChatChannel, address: str, values: Mapping[str, Any], *, by: Actor) -> None:
    """Another address where one is given. Raises ApiError as `create_room` does."""
    with _unless_taken(), transaction.atomic():
        before: ChatChannel = ChatChannel.objects.select_for_update().get(pk=room.pk)
        after = copy.copy(before)
        for name, value in values.items():
            setattr(after, name, value)
        if address:
            _seal(after, address)
            after.problem = ""
        _check(after)
        changes: dict[str, tuple[Any, Any]] = {
            name: (old, new) for name in _AUDITED if (old := getattr(before, name)) != (new := getattr(after, name))
        }
        if address:
            changes["address"] = (shown(before), shown(after))
        if changes:
            after.save()
            audit.record(by, "chat_channel.update", after, changes)
    room.refresh_from_db()


def set_active(room: ChatChannel, is_active: bool, *, by: Actor) -> None:
    """What is on its way to a paused room is not sent."""
    audit.change(by, "chat_channel.resume" if is_active else "chat_channel.pause", room, {"is_active": is_active})


def delete_room(room: ChatChannel, *, by: Actor) -> None:
    with transaction.atomic():
        audit.record(by, "chat_channel.delete", room, {"address": (shown(room), None)})
        room.delete()


def try_room(room: ChatChannel, *, by: Actor) -> None:
    """Send a message that says it is a test. Raises ApiError 422 with what went wrong."""
    letter = Letter(
        subject=f"It works: {room.organization.name} is told here",
        lead=f"{by.label} sent this test from the channel {room.name}.",
        path=f"/o/{room.organization.slug}/",
        action="Open Tokenledger",
        tone="ok",
    )
    try:
        post(room, payload_of(room.dialect, letter, emails.absolute(letter.path), room.organization.name))
    except SendingError as error:
        raise ApiError(422, "not_taken", f"The test did not arrive. {error}") from error


def renew_addresses() -> tuple[int, list[ChatChannel]]:
    """Encrypt every organization's addresses with today's SECRET_KEY. Returns how many, and those that are lost."""
    renewed, lost = 0, []
    with unscoped("the operator changes the key of all secrets"):
        for room in ChatChannel.objects.select_related("organization").order_by("pk"):
            try:
                sealed = renew(room.sealed)
            except SecretLostError:
                lost.append(room)
                continue
            # Only if nobody has entered another one meanwhile.
            renewed += ChatChannel.objects.filter(pk=room.pk, sealed=room.sealed).update(sealed=sealed)
    return renewed, lost


def shown(room: ChatChannel) -> str:
    """As much of the address as may be seen."""
    return f"{room.host}/…{room.hint}"


def _seal(room: ChatChannel, address: str) -> None:
    url = address.strip()
    if len(url) > LONGEST_ADDRESS:
        raise ApiError(422, "invalid_url", f"An address has at most {LONGEST_ADDRESS} characters.", param="address")
    checked_endpoint(url, allow_private=settings.WEBHOOKS_ALLOW_PRIVATE, param="address")
    room.sealed = encrypt(url)
    room.host = (urlsplit(url).hostname or "")[:260]
    room.hint = url[-HINT_LENGTH:]


def _check(room: ChatChannel) -> None:
    room.name = " ".join(room.name.split())
    room.kinds = [name for name in KINDS if name in set(room.kinds)]
    if not room.kinds:
        raise ApiError(422, "invalid_parameter", "Choose at least one kind of message.", param="kinds")
    if room.team_ref is not None and not Team.objects.filter(pk=room.team_ref).exists():
        raise ApiError(422, "invalid_parameter", "There is no such team.", param="team")
    validated(room, exclude=("organization", "sealed", "hint", "last_sent_at"))


@contextmanager
def _unless_taken() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise ApiError(409, "already_exists", "There is a channel of this name already.", param="name") from error
