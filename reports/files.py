"""Files: which of them cost how much, and one with the chats and calls that used it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.requests import OrganizationRequest
from core import figures as words
from core.csvcells import csv_text
from core.money import NANOS_PER_USD, usd_text
from core.periods import Interval, bucket_start, buckets
from core.tenancy import organization_scope
from metering.query.events import list_events
from metering.query.export_api import download
from metering.query.files import (
    FileChat,
    FilePage,
    FileRow,
    FileTotals,
    Shares,
    chats_of_file,
    list_files,
    months_of_file,
    trend_of_file,
    write_file,
)
from metering.query.metrics import Figures
from metering.query.run import run
from metering.query.spec import EARLIEST, LATEST, FilterValue, UsageQuery
from reports.calls import call_row
from reports.page import UsagePage, sees_usage, show
from reports.series import INTERVAL_NAMES, bucket_label, bucket_title, interval_words
from reports.stacks import name_of

PAGE_ROWS = 25
FILE_ROWS = 500
MOST_CALLS, MOST_CHATS, MOST_PEOPLE = 10, 10, 10
COSTLIEST_FIRST = "-processing_cost_usd"
SORTS = {
    "name": "File",
    "size_bytes": "Size",
    "tokens": "Extracted tokens",
    "requests": "Calls",
    "chats": "Chats",
    "file_tokens": "Tokens in prompts",
    "processing_cost_usd": "Processing cost",
    "cost_usd": "Cost of its calls",
    "last_at": "Last used",
}
CARDS: tuple[tuple[str, str, Callable[[FileTotals], int | None]], ...] = (
    ("Processing cost", "money", lambda totals: totals.shares.cost_nanos),
    ("Tokens in prompts", "tokens", lambda totals: totals.shares.tokens),
    ("Files", "count", lambda totals: totals.files),
    ("Calls with files", "count", lambda totals: totals.figures.requests),
    ("Chats with files", "count", lambda totals: totals.chats),
)
FIGURES = ("requests", "total_tokens", "cost_usd")
# A life that is longer is told by the month, which the roll-up has.
LONGEST_BY_DAY, LONGEST_BY_WEEK = dt.timedelta(days=31), dt.timedelta(days=92)


class Files(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:files"
    template = "reports/files.html"
    title = "Files"
    parameters = ("cursor", "sort", "q")

    def context(self) -> dict[str, Any]:
        chosen, slug = self.chosen, self.organization.slug
        found = self.find(limit=PAGE_ROWS, cursor=chosen.given("cursor"))
        csv_url = chosen.url(reverse("reports:files-csv", args=[slug]))
        return {
            "page": self.head() | {"interval": {"options": []}, "export_url": csv_url},
            "summary": self._summary(found.totals),
            "totals": found.totals,
            "search": self.search,
            "search_hidden": [
                (name, value)
                for name, values in chosen.parameters.items()
                if name not in ("q", "cursor")
                for value in values
            ],
            "unsearched_url": chosen.url(q=None),
            "sorts": {name: self._sort(name) for name in SORTS},
            "rows": [{"file": row, "url": self.url_of(row.file)} for row in found.rows],
            "next_url": found.next_cursor and chosen.url(cursor=found.next_cursor),
            "is_later_page": chosen.given("cursor") is not None,
            "first_url": chosen.url(),
        }

    def find(self, **paging: Any) -> FilePage:
        span = self.chosen.range
        return list_files(
            self.organization.pk,
            span.start,
            span.end,
            self.chosen.filters,
            order_by=self.sort_of(SORTS, COSTLIEST_FIRST),
            search=self.search,
            **paging,
        )

    @property
    def search(self) -> str:
        return (self.chosen.given("q") or "").strip()

    @property
    def own(self) -> dict[str, tuple[FilterValue, ...]]:
        """What this person may see at all, without what they chose to look at."""
        return {name: self.chosen.filters[name] for name in self.fixed if name in self.chosen.filters}

    def url_of(self, file: str) -> str:
        return self.chosen.carried_to(reverse("reports:file", args=[self.organization.slug, file]))

    def _summary(self, totals: FileTotals) -> list[dict[str, Any]]:
        span = self.chosen.range.previous_so_far
        before = None
        if self.chosen.is_compared and span.end > span.start:
            before = list_files(self.organization.pk, span.start, span.end, self.chosen.filters, limit=1).totals

        return [
            {
                "label": label,
                "format": kind,
                "value": value(totals),
                "previous": value(before) if before else None,
            }
            for label, kind, value in CARDS
        ]

    def _sort(self, name: str) -> dict[str, Any]:
        """The greatest first, names from the beginning; a second click turns it around."""
        sort = self.sort_of(SORTS, COSTLIEST_FIRST)
        is_current, is_descending = sort.removeprefix("-") == name, sort.startswith("-")
        wanted = f"-{name}" if is_current != is_descending else name
        if not is_current:
            wanted = name if name == "name" else f"-{name}"
        direction = ("descending" if is_descending else "ascending") if is_current else ""
        return {"label": SORTS[name], "url": self.chosen.url(sort=wanted), "direction": direction}


@require_GET
@sees_usage
def files(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Files)


@require_GET
@sees_usage
def files_csv(request: OrganizationRequest) -> HttpResponseBase:
    """The same list to its end, exact to the last digit."""
    page = Files.of(request)
    return download(request, _list(page), "text/csv; charset=utf-8", f"{request.organization.slug}-files.csv")


def _list(page: Files) -> Iterator[bytes]:
    cursor, is_first = page.chosen.given("cursor"), True
    while True:
        with organization_scope(page.organization.pk):
            found = page.find(limit=FILE_ROWS, cursor=cursor)
        rows = [write_file(row, FIGURES) for row in found.rows]
        if is_first:
            columns = ("id", "name", "size_bytes", "tokens", "chats", "file_tokens", "processing_cost_usd",
                       "first_at", "last_at", *FIGURES)  # fmt: skip
            yield csv_text([columns]).encode()
        yield csv_text(list(row.values()) for row in rows).encode()
        cursor, is_first = found.next_cursor, False
        if cursor is None:
            return


# ── One file ──


class Trend(msgspec.Struct, frozen=True):
    """A file's use in each bucket of its life."""

    interval: Interval
    rows: list[tuple[dt.datetime, dt.datetime, Figures, Shares]]


class OneFile(msgspec.Struct, frozen=True):
    """A file as this person sees it: of the calls they may see, in all of its life."""

    page: Files
    row: FileRow

    @classmethod
    def find(cls, request: OrganizationRequest, file_id: str) -> OneFile:
        """Raises Http404."""
        page = Files.of(request)
        filters: dict[str, tuple[FilterValue, ...]] = {**page.own, "file": (file_id,)}
        rows = [] if "\0" in file_id else list_files(page.organization.pk, EARLIEST, LATEST, filters).rows
        if not rows:
            raise Http404("no such file")
        return cls(page, rows[0])

    @property
    def filters(self) -> dict[str, tuple[FilterValue, ...]]:
        return {**self.page.own, "file": (self.row.file,)}

    def context(self) -> dict[str, Any]:
        page, row = self.page, self.row
        slug, end = page.organization.slug, row.last_at + row.last_at.resolution
        calls = list_events(page.organization.pk, row.first_at, end, self.filters, limit=MOST_CALLS)
        chats = chats_of_file(page.organization.pk, row.file, EARLIEST, LATEST, page.own, MOST_CHATS)
        return {
            "page": {"title": row.label},
            "file": row,
            "list_url": page.chosen.carried_to(page.path_in(page.organization)),
            "usage_url": self._of_its_life("reports:usage"),
            "calls_url": self._of_its_life("reports:calls"),
            "chats_url": self._of_its_life("reports:chats"),
            "chart": self._chart(self.trend()),
            "chats": [{"use": chat, "url": chat.chat and self._chat_url(chat)} for chat in chats if chat.chat],
            "more_chats": row.chats - sum(chat.chat is not None for chat in chats),
            "outside": next((chat for chat in chats if chat.chat is None), None),
            "groups": self._groups(end),
            "calls": [call_row(event, slug) for event in calls.rows],
            "has_more_calls": calls.next_cursor is not None,
        }

    def trend(self) -> Trend:
        """By day, week or month, as long as its life is."""
        page, row, zone = self.page, self.row, self.page.chosen.zone
        life = row.last_at - row.first_at
        end = row.last_at + row.last_at.resolution
        interval: Interval = "day" if life <= LONGEST_BY_DAY else "week" if life <= LONGEST_BY_WEEK else "month"
        divided = buckets(bucket_start(row.first_at, interval, zone), end, interval, zone)
        if interval == "month" and not page.own:
            months = months_of_file(page.organization.pk, row.file)
            nothing = (Figures(), Shares())
            found = [months.get(start.astimezone(zone).date(), nothing) for start, _ in divided]
        else:
            found = trend_of_file(page.organization.pk, row.file, [start for start, _ in divided], end, page.own)
        return Trend(interval, [(*ends, *figures) for ends, figures in zip(divided, found, strict=True)])

    def _groups(self, end: dt.datetime) -> list[dict[str, Any]]:
        """Who used it, and with which models."""
        page, row = self.page, self.row
        asked = {"Model": "model"} | ({"Member": "member"} if "member" not in page.fixed else {})
        groups = []
        for label, name in asked.items():
            query = UsageQuery(
                page.organization.pk, row.first_at, end, page.chosen.zone, group_by=(name,), filters=self.filters,
                order_by=("-requests",), limit=MOST_PEOPLE,
            )  # fmt: skip
            groups.append(
                {
                    "label": label,
                    "rows": [
                        {
                            "label": name_of(found.group[name], name),
                            "figures": found.figures,
                            "share": words.share(found.figures.requests, row.figures.requests),
                        }
                        for found in run(query).rows
                    ],
                }
            )
        return groups

    def _chat_url(self, chat: FileChat) -> str:
        return self.page.chosen.carried_to(reverse("reports:chat", args=[self.page.organization.slug, chat.chat]))

    def _of_its_life(self, name: str) -> str:
        """Another page, of the file's calls only and from the first to the last of them."""
        zone = self.page.chosen.zone
        ends = {"from": self.row.first_at, "to": self.row.last_at + dt.timedelta(minutes=1)}
        given = {key: at.astimezone(zone).strftime("%Y-%m-%dT%H:%M") for key, at in ends.items()}
        chosen = msgspec.structs.replace(self.page.chosen, parameters={})
        team = {"team": self.page.team.slug} if self.page.team else {}
        path = reverse(name, args=[self.page.organization.slug])
        return chosen.url(path, range="custom", file=self.row.file, **team, **given)

    def _chart(self, trend: Trend) -> dict[str, Any]:
        zone, interval = self.page.chosen.zone, trend.interval
        titles = [bucket_title(start, end, interval, zone) for start, end, *_ in trend.rows]
        costs = [shares.cost_nanos for *_, shares in trend.rows]
        texts = ["unknown" if nanos is None else words.money(nanos) for nanos in costs]
        name = INTERVAL_NAMES[interval]
        return {
            "id": "file-trend",
            "title": f"Processing cost by {interval_words(interval)}",
            "csv_url": reverse("reports:file-csv", args=[self.page.organization.slug, self.row.file]),
            "json": {
                "kind": "stack",
                "unit": "usd",
                "measure": "Processing cost",
                "labels": [bucket_label(start, interval, zone) for start, *_ in trend.rows],
                "titles": titles,
                "totals": texts,
                "series": [
                    {
                        "label": "Processing cost",
                        "slot": "kind-input",
                        "data": [None if nanos is None else nanos / NANOS_PER_USD for nanos in costs],
                        "texts": texts,
                    }
                ],
            },
            "table": {
                "columns": [name, "Processing cost", "Tokens in prompts", "Calls", "Cost of its calls"],
                "rows": [
                    {
                        "label": title,
                        "cells": [
                            text,
                            words.tokens(shares.tokens),
                            words.tokens(figures.requests),
                            words.money(figures.cost_nanos),
                        ],
                    }
                    for title, text, (_, _, figures, shares) in zip(titles, texts, trend.rows, strict=True)
                ],
            },
        }


@require_GET
@sees_usage
def file(request: OrganizationRequest, file_id: str) -> HttpResponse:
    return render(request, "reports/file.html", OneFile.find(request, file_id).context())


@require_GET
@sees_usage
def file_csv(request: OrganizationRequest, file_id: str) -> HttpResponse:
    """Its trend, exact to the last digit."""
    one = OneFile.find(request, file_id)
    zone = one.page.chosen.zone
    rows: Sequence[Sequence[Any]] = [
        (start.astimezone(zone).isoformat(), usd_text(shares.cost_nanos), shares.tokens, figures.requests,
         usd_text(figures.cost_nanos))
        for start, _, figures, shares in one.trend().rows
    ]  # fmt: skip
    text = csv_text([("start", "processing_cost_usd", "file_tokens", "requests", "cost_usd"), *rows])
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="file-trend.csv"'
    return response
