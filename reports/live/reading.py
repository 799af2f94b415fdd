"""What a stream shows: who may see it, read through the pages themselves, as the HTML they would show now."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import Any, cast

import msgspec
from django.http import HttpRequest, QueryDict
from django.template.loader import render_to_string

from accounts.middleware import membership_in
from accounts.models import Membership, Organization, Role
from accounts.permissions import Right, may
from accounts.requests import OrganizationRequest
from accounts.sessions import person_of
from alerts.notices import inbox
from core.errors import ApiError
from core.tenancy import organization_scope
from metering.query.ranges import Span, named_range
from reports.live.page import LivePage
from reports.overview import Overview
from reports.quick import Quick

# How often the mere passing of time is worth showing: the shortest interval of a chart.
TICK = dt.timedelta(minutes=15)
# Pages that move, by their word in the address.
PLACES: dict[str, type[LivePage]] = {"overview": Overview, "quick": Quick}
# The bell on every page: a person's own.
INBOX = "inbox"


class Watch(msgspec.Struct, frozen=True):
    """What is shown. Whoever watches the same shares one reading: nothing in it is anybody's own, but an inbox.

    `filters` are those that hold after the role had its say, `query` is the address they were chosen with. `person` is
    the user whose inbox it is, else 0.
    """

    place: str
    organization_id: int
    role: Role
    filters: tuple[tuple[str, tuple[Any, ...]], ...]
    fixed: frozenset[str]
    query: str
    person: int = 0


class Watcher(msgspec.Struct, frozen=True):
    """Who watches, and what."""

    user_id: int
    membership: Membership
    watch: Watch


class Frame(msgspec.Struct, frozen=True):
    """The figures at one moment. `standing` is what they were made of; `digest` names them."""

    standing: object
    digest: str
    body: bytes


def admit(session_key: str, slug: str, place: str, query: str) -> Watcher:
    """Who watches the view `query` of a page, under the conditions of the page.

    Raises ApiError: 401 without a session, 404 for strangers, 403 without the right, 422 for what is no view.
    """
    user = person_of(session_key)
    if user is None:
        raise ApiError(401, "not_logged_in", "Log in to see this.")
    membership = membership_in(user, slug)
    if membership is None:
        raise ApiError(404, "not_found", "No such organization among yours.")
    if not (may(membership.role, Right.SEE_USAGE) or may(membership.role, Right.SEE_OWN_USAGE)):
        raise ApiError(403, "forbidden", "Your role does not open this.")
    if place == INBOX:
        watch = Watch(INBOX, membership.organization_id, Role(membership.role), (), frozenset(), "", user.pk)
        return Watcher(user.pk, membership, watch)
    with organization_scope(membership.organization_id):
        page = _page(membership, membership.organization, place, query)
        return Watcher(user.pk, membership, _watch_of(page, query))


def read(watcher: Watcher, known: Frame | None) -> Frame | None:
    """The figures now, or None where they are still the `known` ones. Raises ApiError 403 when they became others'."""
    watch = watcher.watch
    if watch.place == INBOX:
        return _read_inbox(watcher, known)
    with organization_scope(watch.organization_id):
        organization = Organization.objects.get(pk=watch.organization_id)
        page = _page(watcher.membership, organization, watch.place, watch.query)
        if _watch_of(page, watch.query) != watch:
            raise ApiError(403, "changed", "What this person may see has changed.")
        standing = _standing(page)
        if known is not None and known.standing == standing:
            return None
        return _frame(page, standing)


def live_body(page: LivePage) -> dict[str, str]:
    """What moves on the page, as it looks now. Empty before the first event."""
    context = page.context()
    if "empty" in context:
        return {}
    html = render_to_string(page.body_template, context | {"is_live": True})
    return {"html": re.sub(r"\s*\n\s*", "\n", html), "subtitle": context["page"]["subtitle"]}


def _read_inbox(watcher: Watcher, known: Frame | None) -> Frame | None:
    with organization_scope(watcher.watch.organization_id):
        standing = inbox.standing_of(watcher.membership)
    if known is not None and known.standing == standing:
        return None
    return _framed(standing, msgspec.json.encode(standing))


def _frame(page: LivePage, standing: object) -> Frame:
    return _framed(standing, msgspec.json.encode(live_body(page)))


def _framed(standing: object, body: bytes) -> Frame:
    return Frame(standing, hashlib.blake2b(body, digest_size=12).hexdigest(), body)


def _page(membership: Membership, organization: Organization, place: str, query: str) -> LivePage:
    request = cast("OrganizationRequest", HttpRequest())
    request.GET = QueryDict(query)
    request.organization, request.membership, request.role = organization, membership, Role(membership.role)
    return PLACES[place].of(request)


def _watch_of(page: LivePage, query: str) -> Watch:
    filters = tuple(sorted(page.chosen.filters.items()))
    return Watch(page.place, page.organization.pk, Role(page.membership.role), filters, page.fixed, query)


def _standing(page: LivePage) -> object:
    """All figures of a page follow from these, as far as its own events make them; the rest is the clock's."""
    month = named_range("month", page.chosen.zone, page.now)
    tick = page.now.timestamp() // TICK.total_seconds()
    return page.run().totals, page.run(Span(month.start, month.end)).totals, tick
