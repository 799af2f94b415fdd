"""The comparison page: this very usage at other models' prices, and on GPUs by the hour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import msgspec
from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.requests import OrganizationRequest
from core import figures as words
from core.csvcells import csv_text
from core.errors import ApiError
from core.money import NANOS_PER_USD, nanos_from_femtos, usd_text
from metering.pricing.book import PriceBook
from metering.query import gpus as gpu
from metering.query.comparison import MOST_TARGETS, Comparison, Current, Replay, Target, compare, find_target
from metering.query.gpus import Gpus
from metering.query.latest import latest_event_at
from reports.filters import NOTHING
from reports.page import UsagePage, sees_usage, show
from reports.stacks import MOST_VALUES, name_of, slot_of

# What most people ask about first.
USUAL = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash")
MORE = ("openai/gpt-5-mini", "openai/gpt-5", "anthropic/claude-sonnet-4-5", "deepseek/deepseek-chat")
WITH = "with"
# Rows are read to the twenty-fifth model; the file has all of them.
MOST_LISTED = 25
GPUS = "GPUs"
LEFT_OUT = "Left out, at its cost now"
COLUMNS = (
    "model", "provider", "target", "calls", "cost_usd", "would_cost_usd", "saved_usd", "newly_priced_calls",
    "newly_priced_usd", "left_out_calls", "left_out_usd", "other_tier_calls",
)  # fmt: skip
_HOUR_SECONDS = 3600


class Chosen(msgspec.Struct, frozen=True):
    """What to compare with, and the names in the address that nothing is sold under."""

    targets: tuple[Target, ...]
    unknown: tuple[str, ...]
    gpus: Gpus


class ComparisonPage(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:comparison"
    template = "reports/comparison.html"
    title = "Comparison"
    measures = ("cost",)
    parameters = (WITH, *gpu.PARAMETERS)

    def context(self) -> dict[str, Any]:
        """The template's context; templates/reports/comparison.html says what it needs."""
        slug = self.organization.slug
        book = PriceBook.load()
        asked = self.asked(book)
        csv_url = self.chosen.url(reverse("reports:comparison-file", args=[slug]))
        page = self.head() | {
            "interval": {"options": []},
            "compare": {},
            "export_url": csv_url,
            "crumb_url": self.chosen.carried_to(reverse("reports:costs", args=[slug])),
        }
        context: dict[str, Any] = {"page": page, "choice": self._choice(book, asked)}
        found = self.compared(asked)
        if found.totals.requests == 0:
            return context | {"page": page | {"has_data": False}}
        return context | {
            "page": page | {"has_data": True},
            "notices": _notices(asked, found),
            "cards": [self._card(target, replay) for target, replay in zip(found.targets, found.replays, strict=True)],
            "gpu": self._gpu(asked.gpus, found),
            "chart": _chart(found, csv_url) if found.targets else None,
            "targets": [target.label for target in found.targets],
            "rows": [_row(self, one) for one in found.models[:MOST_LISTED]],
            "rest": len(found.models[MOST_LISTED:]),
            "totals": {"cost": found.totals.cost_nanos, "replays": [_cell(replay) for replay in found.replays]},
            "csv_url": csv_url,
            "proof": self.proof(found.totals, latest_event_at(self.organization.pk)),
        }

    def asked(self, book: PriceBook) -> Chosen:
        """Raises ApiError 422 for assumptions that make no sense; names without a price are said beside the others."""
        names = _names(self.chosen.parameters.get(WITH))
        if len(names) > MOST_TARGETS:
            raise ApiError(422, "invalid_parameter", f"{WITH} takes at most {MOST_TARGETS} models.", param=WITH)
        targets, unknown = [], []
        for name in names:
            try:
                targets.append(find_target(book, self.organization.pk, name, self.now))
            except ApiError:
                unknown.append(name)
        if WITH not in self.chosen.parameters:
            unknown = []
        return Chosen(
            tuple({target.key: target for target in targets}.values()),
            tuple(unknown),
            Gpus.read({name: self.chosen.given(name) for name in gpu.PARAMETERS}),
        )

    def compared(self, asked: Chosen) -> Comparison:
        return compare(self.chosen.query(self.organization.pk), asked.targets, asked.gpus)

    # ── What to compare with ──

    def _choice(self, book: PriceBook, asked: Chosen) -> dict[str, Any]:
        keys = [target.key for target in asked.targets]
        chosen = self.chosen

        def with_url(names: Sequence[str]) -> str:
            return chosen.url(**{WITH: ",".join(names) or NOTHING})

        effective = book.effective(self.organization.pk, self.now)
        return {
            "targets": [
                {"label": target.key, "remove_url": with_url([key for key in keys if key != target.key])}
                for target in asked.targets
            ],
            "more": [
                {"label": name, "url": with_url([*keys, name])}
                for name in (*USUAL, *MORE)
                if name not in keys and len(keys) < MOST_TARGETS
            ],
            "has_room": len(keys) < MOST_TARGETS,
            "most": MOST_TARGETS,
            "action_url": chosen.path,
            "with": ",".join(keys),
            "hidden": [
                (name, value)
                for name, values in chosen.parameters.items()
                if name not in (WITH, *gpu.PARAMETERS)
                for value in values
            ],
            "gpus": asked.gpus.written(),
            "models": [f"{version.provider}/{version.model}" for version in effective if version.provider],
        }

    # ── Figures ──

    def _card(self, target: Target, replay: Replay) -> dict[str, Any]:
        return _cell(replay) | {
            "label": target.key,
            "valid_from": target.version.valid_from,
            "source": target.version.source,
            "is_own": target.version.organization_id is not None,
            "left_out": _left_out(replay),
            "left_out_nanos": replay.left_out_nanos,
            "new_calls": replay.new_calls,
            "new_nanos": replay.new_nanos,
            "other_tier_calls": replay.other_tier_calls,
        }

    def _gpu(self, gpus: Gpus, found: Comparison) -> dict[str, Any] | None:
        """Paid for by the busy hour, and rented all the time: as many sets of GPUs as the busy hours need."""
        replay = found.gpu
        if replay is None:
            return None
        span = self.chosen.range
        elapsed = Fraction(max(1, int((min(span.end, self.now) - span.start).total_seconds())), _HOUR_SECONDS)
        busy = gpus.busy_hours(*found.gpu_tokens)
        sets = max(1, math.ceil(busy / elapsed))
        rented = nanos_from_femtos(gpus.cost_femtos(elapsed * sets))
        saved = replay.now_nanos - rented
        return {
            "busy": _cell(replay),
            "busy_hours": _hours(busy),
            "elapsed_hours": _hours(elapsed),
            "utilization": busy / (elapsed * sets),
            "sets": sets,
            "rented_gpus": sets * gpus.gpus,
            "rented": None if replay.cost_nanos is None else rented,
            "rented_saved": None if replay.cost_nanos is None else saved,
            "rented_more": -saved,
            "rented_share": Fraction(abs(saved), replay.now_nanos) if replay.now_nanos else None,
            "left_out": _left_out(replay),
        }


def _left_out(replay: Replay) -> list[str]:
    """Each reason with its calls; the kinds of tokens as people write them."""
    return [
        f"{words.count(calls)} call{'s' if calls != 1 else ''}: {reason.replace('_', ' ')}"
        for reason, calls in replay.left_out.items()
    ]


def _hours(hours: Fraction) -> str:
    """To two decimals: 1,234.50 h."""
    return f"{round(hours * 100) / 100:,.2f} h"


def _names(given: tuple[str, ...] | None) -> list[str]:
    """Models in the address, with commas or one by one; without any, the usual ones."""
    if given is None:
        return list(USUAL)
    names = [name.strip() for text in given for name in text.split(",")]
    return list(dict.fromkeys(name for name in names if name and name != NOTHING))


def _cell(replay: Replay) -> dict[str, Any]:
    saved = replay.saved_nanos
    return {
        "now": replay.now_nanos,
        "cost": replay.cost_nanos,
        "saved": None if saved is None else abs(saved),
        "is_saving": saved is not None and saved >= 0,
        "share": None if replay.saved_share is None else abs(replay.saved_share),
        "calls": replay.calls,
        "left_out_calls": replay.left_out_calls,
        "new_calls": replay.new_calls,
    }


def _row(page: UsagePage, one: Current) -> dict[str, Any]:
    return {
        "label": name_of(one.model, "model"),
        "provider": one.provider.label,
        "slot": slot_of(one.model) if one.figures.is_cost_known else "unpriced",
        "url": page.chosen.filtered_url("model", one.model.key),
        "cost": one.figures.cost_nanos,
        "is_cost_known": one.figures.is_cost_known,
        "replays": [_cell(replay) for replay in one.replays],
    }


def _notices(asked: Chosen, found: Comparison) -> list[dict[str, Any]]:
    notices = [
        {"tone": "warning", "icon": "question-circle", "fact": f"{name} has no price today.",
         "text": "Write it as the price list does, openai/gpt-4o-mini. What is paid for by the hour is compared below."}
        for name in asked.unknown
    ]  # fmt: skip
    if not found.is_by_time:
        hourly = ", ".join(target.label for target in found.targets if target.has_hours)
        notices.append(
            {
                "tone": "info", "icon": "clock", "fact": f"{hourly}: at the rates of ordinary hours.",
                "text": "Its price differs by the hour of the day. A range with fewer calls is compared call by call.",
            }
        )  # fmt: skip
    return notices


def _chart(found: Comparison, csv_url: str) -> dict[str, Any]:
    """One bar for now and one a target, of the models that are used now."""
    named = found.models[:MOST_VALUES]
    others = found.models[MOST_VALUES:]
    labels = ["Now", *(target.label for target in found.targets)]
    parts: list[tuple[str, int | str, list[int | None]]] = [
        (
            name_of(one.model, "model"),
            slot_of(one.model) if one.figures.is_cost_known else "unpriced",
            _costs(one),
        )
        for one in named
    ]
    if others:
        parts.append(("Others", "other", [_known_sum(column) for column in zip(*map(_costs, others), strict=True)]))
    left_out = [replay.left_out_nanos for replay in found.replays]
    if any(left_out):
        # Without it a target that prices less of the usage would look the cheaper one.
        parts.append((LEFT_OUT, "unpriced", [None, *(nanos or None for nanos in left_out)]))
    texts = [
        words.money(found.totals.cost_nanos),
        *(
            words.money(replay.cost_nanos) + (f" without calls of {words.money(nanos)}" if nanos else "")
            for replay, nanos in zip(found.replays, left_out, strict=True)
        ),
    ]
    return {
        "id": "comparison-chart",
        "title": "Cost of this usage",
        "description": "; ".join(f"{label} {text}" for label, text in zip(labels, texts, strict=True)),
        "measure": {"options": [], "types": []},
        "csv_url": csv_url,
        "json": {
            "kind": "stack",
            "unit": "usd",
            "measure": "Cost",
            "zoom": False,
            "labels": labels,
            "titles": ["Now", *(f"At the price of {target.key}" for target in found.targets)],
            "totals": texts,
            "series": [
                {
                    "label": label,
                    "slot": slot,
                    "data": [None if value is None else value / NANOS_PER_USD for value in values],
                    "texts": [words.money(value) for value in values],
                }
                for label, slot, values in parts
            ],
        },
        "table": {
            "columns": ["Price", *(label for label, _, _ in parts), "Total"],
            "rows": [
                {"label": label, "cells": [*(words.money(values[at]) for _, _, values in parts), texts[at]]}
                for at, label in enumerate(labels)
            ],
        },
    }


def _costs(one: Current) -> list[int | None]:
    """Now and at each target's price."""
    return [one.figures.cost_nanos, *(replay.cost_nanos for replay in one.replays)]


def _known_sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


@require_GET
@sees_usage
def comparison(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, ComparisonPage)


@require_GET
@sees_usage
def comparison_file(request: OrganizationRequest) -> HttpResponseBase:
    """Every model at every target's price, and all of them; exact."""
    page = ComparisonPage.of(request)
    asked = page.asked(PriceBook.load())
    if asked.unknown:
        raise ApiError(422, "invalid_parameter", f"{asked.unknown[0]} has no price today.", param=WITH)
    found = page.compared(asked)
    rows: list[Sequence[Any]] = [COLUMNS]
    for one in found.models:
        about = (one.model.key, one.provider.key)
        rows += [_line(about, t.key, r) for t, r in zip(found.targets, one.replays, strict=True)]
    rows += [_line(("", ""), t.key, r) for t, r in zip(found.targets, found.replays, strict=True)]
    if found.gpu is not None:
        rows.append(_line(("", ""), GPUS, found.gpu))
    response = HttpResponse(csv_text(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{request.organization.slug}-comparison.csv"'
    return response


def _line(about: tuple[str | None, str | None], target: str, replay: Replay) -> Sequence[Any]:
    money = map(usd_text, (replay.now_nanos, replay.cost_nanos, replay.saved_nanos))
    return (
        *about, target, replay.calls, *money, replay.new_calls, usd_text(replay.new_nanos),
        replay.left_out_calls, usd_text(replay.left_out_nanos), replay.other_tier_calls,
    )  # fmt: skip
