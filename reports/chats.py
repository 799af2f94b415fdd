"""Chats: the list, its file, and one chat with its calls, files and running cost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.requests import OrganizationRequest
from core import figures as words
from core.csvcells import csv_text
from core.money import NANOS_PER_USD
from core.tenancy import organization_scope
from metering.query.chats import ChatAbout, ChatPage, ChatRow, describe_chats, list_chats
from metering.query.events import EventRow, list_events
from metering.query.export_api import download
from metering.query.files import list_files
from metering.query.labels import GroupValue
from metering.query.metrics import instant_text, written
from metering.query.spec import EARLIEST, LATEST, FilterValue
from metering.query.tables import begun
from reports.calls import call_row, sees_usage
from reports.page import UsagePage, show
from reports.split import LEGEND

PAGE_ROWS = 25
FILE_ROWS = 2_000
MOST_CALLS = 100
MOST_FILES = 50
NEWEST_FIRST = "-last_at"
SORTS = {"total_tokens": "Tokens", "cost_usd": "Cost", "last_at": "Last activity"}
# A corrected call may have been said to be a little earlier or later than the chat now is.
AROUND = dt.timedelta(days=1)
FIGURES = ("requests", "prompt_tokens", "completion_tokens", "total_tokens", "cost_usd")
COLUMNS = ("id", "title", "members", "projects", "models", "messages", *FIGURES, "first_at", "last_at")


class Chats(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:chats"
    template = "reports/chats.html"
    title = "Chats"
    parameters = ("cursor", "sort", "q")

    def context(self) -> dict[str, Any]:
        chosen = self.chosen
        found = self.find(limit=PAGE_ROWS, cursor=chosen.given("cursor"))
        about = describe_chats(self.organization.pk, found.rows, chosen.filters)
        slug = self.organization.slug
        head = self.head() | {
            "interval": {"options": []},
            "compare": {},
            "export_url": chosen.url(reverse("reports:chats-csv", args=[slug])),
        }
        return {
            "page": head,
            "calls_url": chosen.carried_to(reverse("reports:calls", args=[slug])),
            "search": self.search,
            "search_hidden": self._hidden_fields(),
            "unsearched_url": chosen.url(q=None),
            "sorts": {name: self._sort(name) for name in SORTS},
            "shows_people": "member" not in self.fixed,
            "rows": [self._row(row, about[row.chat]) for row in found.rows],
            "next_url": found.next_cursor and chosen.url(cursor=found.next_cursor),
            "is_later_page": chosen.given("cursor") is not None,
            "first_url": chosen.url(),
        }

    def find(self, **paging: Any) -> ChatPage:
        span = self.chosen.range
        return list_chats(
            self.organization.pk,
            span.start,
            span.end,
            self.chosen.filters,
            order_by=self.sort,
            search=self.search,
            **paging,
        )

    @property
    def sort(self) -> str:
        return self.sort_of(SORTS, NEWEST_FIRST)

    @property
    def search(self) -> str:
        return (self.chosen.given("q") or "").strip()

    def url_of(self, chat: str) -> str:
        return self.chosen.carried_to(reverse("reports:chat", args=[self.organization.slug, chat]))

    @property
    def own(self) -> dict[str, tuple[FilterValue, ...]]:
        """What this person may see at all, without what they chose to look at."""
        return {name: self.chosen.filters[name] for name in self.fixed if name in self.chosen.filters}

    def _sort(self, name: str) -> dict[str, Any]:
        """The greatest first; a second click turns it around."""
        is_current = self.sort.removeprefix("-") == name
        is_descending = self.sort.startswith("-")
        wanted = name if is_current and is_descending else f"-{name}"
        direction = ("descending" if is_descending else "ascending") if is_current else ""
        return {"label": SORTS[name], "url": self.chosen.url(sort=wanted), "direction": direction}

    def _hidden_fields(self) -> list[tuple[str, str]]:
        parameters = self.chosen.parameters.items()
        return [(name, value) for name, values in parameters if name not in ("q", "cursor") for value in values]

    def _row(self, row: ChatRow, about: ChatAbout) -> dict[str, Any]:
        return {
            "chat": row,
            "url": self.url_of(row.chat),
            "who": said([*about.members, *about.users]),
            "messages": about.messages,
            "duration": duration_of(row),
        }


@require_GET
@sees_usage
def chats(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Chats)


@require_GET
@sees_usage
def chats_csv(request: OrganizationRequest) -> HttpResponseBase:
    """The same list to its end, exact to the last digit."""
    page = Chats.of(request)
    return download(request, _file(page), "text/csv; charset=utf-8", f"{request.organization.slug}-chats.csv")


@require_GET
@sees_usage
def chat(request: OrganizationRequest, chat_id: str) -> HttpResponse:
    page = Chats.of(request)
    return render(request, "reports/chat.html", OneChat.find(page, chat_id).context())


def _file(page: Chats) -> Iterator[bytes]:
    # Before the heading, so that a question that makes no sense is refused and not a file that breaks off.
    lists = begun(_lists(page))
    yield csv_text([COLUMNS]).encode()
    yield from lists


def _lists(page: Chats) -> Iterator[bytes]:
    organization_id, cursor = page.organization.pk, page.chosen.given("cursor")
    while True:
        with organization_scope(organization_id):
            found = page.find(limit=FILE_ROWS, cursor=cursor)
            about = describe_chats(organization_id, found.rows, page.chosen.filters)
        yield csv_text(_cells(row, about[row.chat]) for row in found.rows).encode()
        cursor = found.next_cursor
        if cursor is None:
            return


def _cells(row: ChatRow, about: ChatAbout) -> list[Any]:
    names = (said(values) for values in ([*about.members, *about.users], about.projects, about.models))
    figures = written(row.figures, FIGURES).values()
    moments = (instant_text(row.first_at), instant_text(row.last_at))
    return [row.chat, row.title, *names, about.messages, *figures, *moments]


def said(values: Sequence[GroupValue]) -> str:
    return ", ".join(value.label or value.key or "" for value in values)


def duration_of(row: ChatRow) -> dt.timedelta | None:
    """From the first call to the last; a chat of one moment lasted as long as its calls took, where they told."""
    if row.last_at > row.first_at:
        return row.last_at - row.first_at
    return dt.timedelta(milliseconds=row.figures.duration_ms) if row.figures.timed_requests else None


# ── One chat ──


class OneChat(msgspec.Struct, frozen=True):
    """A chat as this person sees it: of the calls they may see. The list's own filters are for the way back only."""

    page: Chats
    row: ChatRow

    @classmethod
    def find(cls, page: Chats, chat_id: str) -> OneChat:
        """Raises Http404."""
        filters: dict[str, tuple[FilterValue, ...]] = {**page.own, "chat": (chat_id,)}
        rows = [] if "\0" in chat_id else list_chats(page.organization.pk, EARLIEST, LATEST, filters).rows
        if not rows:
            raise Http404("no such chat")
        return cls(page, rows[0])

    def context(self) -> dict[str, Any]:
        page, row, figures = self.page, self.row, self.row.figures
        slug = page.organization.slug
        about = describe_chats(page.organization.pk, [row], page.own)[row.chat]
        cursor = page.chosen.given("cursor")
        found = list_events(
            page.organization.pk,
            row.first_at - AROUND,
            row.last_at + AROUND,
            {**page.own, "chat": (row.chat,)},
            limit=MOST_CALLS,
            cursor=cursor,
            with_superseded=True,
        )
        events = found.rows[::-1]
        counted = [event for event in events if not event.superseded_by]
        first = figures.requests - len(counted) + 1 if cursor is None else None
        here = page.url_of(row.chat)
        return {
            "page": {"title": row.title or row.chat},
            "chat": row,
            "about": about,
            "who": said([*about.members, *about.users]) if "member" not in page.fixed else page.whose,
            "where": said(about.projects),
            "list_url": page.chosen.carried_to(page.path_in(page.organization)),
            "usage_url": self._overview_url(),
            "figures": figures,
            "cached_share": words.share(figures.cache_read, figures.prompt_tokens),
            "output_share": words.share(figures.completion_tokens, figures.total_tokens),
            "duration": duration_of(row),
            "calls": _numbered(events, first, slug),
            "legend": LEGEND,
            "earlier_url": found.next_cursor and f"{here}{'&' if '?' in here else '?'}cursor={found.next_cursor}",
            "latest_url": here if cursor else None,
            "files": self._files(),
            "chart": self._running_cost(counted) if cursor is None and len(counted) > 1 else None,
        }

    def _files(self) -> list[dict[str, Any]]:
        page, row = self.page, self.row
        filters = {**page.own, "chat": (row.chat,)}
        end = row.last_at + row.last_at.resolution
        found = list_files(page.organization.pk, row.first_at, end, filters, order_by="-requests", limit=MOST_FILES)
        slug = page.organization.slug
        return [
            {"file": one, "url": page.chosen.carried_to(reverse("reports:file", args=[slug, one.file]))}
            for one in found.rows
        ]

    def _overview_url(self) -> str:
        """The overview of this chat, for all of its life."""
        zone = self.page.chosen.zone
        ends = {"from": self.row.first_at, "to": self.row.last_at + dt.timedelta(minutes=1)}
        given = {name: at.astimezone(zone).strftime("%Y-%m-%dT%H:%M") for name, at in ends.items()}
        chosen = msgspec.structs.replace(self.page.chosen, parameters={})
        path = reverse("reports:overview", args=[self.page.organization.slug])
        return chosen.url(path, range="custom", chat=self.row.chat, **given)

    def _running_cost(self, events: Sequence[EventRow]) -> dict[str, Any]:
        """What the chat had cost after each call. What went before the first one shown is counted in."""
        zone = self.page.chosen.zone
        total = self.row.figures.known_cost_nanos - sum(event.cost_nanos or 0 for event in events)
        sums: list[int] = []
        for event in events:
            total += event.cost_nanos or 0
            sums.append(total)
        moments = [event.occurred_at.astimezone(zone) for event in events]
        titles = [f"{at:%a} {at.day} {at:%b, %H:%M:%S}" for at in moments]
        names = [event.names["model"].label or "" for event in events]
        return {
            "id": "running-cost",
            "title": "Cost so far",
            "description": f"The chat's cost after each call, {words.money_exact(total)} in the end",
            "json": {
                "kind": "lines",
                "unit": "usd",
                "measure": "Cost",
                "labels": [f"{at:%H:%M}" for at in moments],
                "titles": [f"{title} · {name}" for title, name in zip(titles, names, strict=True)],
                "series": [
                    {
                        "label": "Cost so far",
                        "role": "now",
                        "data": [nanos / NANOS_PER_USD for nanos in sums],
                        "texts": [words.money_exact(nanos) for nanos in sums],
                    }
                ],
            },
            "table": {
                "columns": ["Call", "Model", "Cost", "Cost so far"],
                "rows": [
                    {
                        "label": title,
                        "cells": [
                            name,
                            "Unpriced" if event.cost_nanos is None else words.money_exact(event.cost_nanos),
                            words.money_exact(nanos),
                        ],
                    }
                    for title, name, event, nanos in zip(titles, names, events, sums, strict=True)
                ],
            },
        }


def _numbered(events: Sequence[EventRow], first: int | None, slug: str) -> list[dict[str, Any]]:
    """The calls in order. Corrected ones have no number: another call stands in their place."""
    rows, number = [], first
    for event in events:
        shown = None if event.superseded_by else number
        if shown is not None and number is not None:
            number += 1
        rows.append(call_row(event, slug) | {"number": shown})
    return rows
