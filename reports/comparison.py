"""The comparison page: this very usage at other models' prices, and on GPUs by the hour."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import msgspec
from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.requests import OrganizationRequest
from core.errors import ApiError
from metering.pricing.book import PriceBook
from metering.query import gpus as gpu
from metering.query.comparison import MOST_TARGETS, Comparison, Target, compare, find_target
from metering.query.gpus import Gpus
from metering.query.latest import latest_event_at
from reports.comparison_figures import figures_context, file_text
from reports.comparison_records import visible_comparisons
from reports.filters import NOTHING
from reports.page import UsagePage, sees_usage, show

# What most people ask about first.
USUAL = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash")
MORE = ("openai/gpt-5-mini", "openai/gpt-5", "anthropic/claude-sonnet-4-5", "deepseek/deepseek-chat")
WITH = "with"
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
        context: dict[str, Any] = {
            "page": page,
            "choice": self._choice(book, asked),
            "kept": {
                "url": reverse("reports:comparisons", args=[slug]),
                "count": visible_comparisons(self.membership).count(),
            },
        }
        found = self.compared(asked)
        if found.totals.requests == 0:
            return context | {"page": page | {"has_data": False}}
        return context | {
            "page": page | {"has_data": True},
            "notices": _notices(asked, found),
            **figures_context(found, asked.gpus, self.elapsed, csv_url, self._url_of),
            "keep_url": self.chosen.url(reverse("reports:comparison-keep", args=[slug])),
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

    def _url_of(self, model: str | None) -> str:
        return self.chosen.filtered_url("model", model)

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

    @property
    def elapsed(self) -> Fraction:
        """The hours of the range so far."""
        return elapsed_hours(self.chosen.range.start, min(self.chosen.range.end, self.now))


def elapsed_hours(start: dt.datetime, end: dt.datetime) -> Fraction:
    return Fraction(max(1, int((end - start).total_seconds())), _HOUR_SECONDS)


def _names(given: tuple[str, ...] | None) -> list[str]:
    """Models in the address, with commas or one by one; without any, the usual ones."""
    if given is None:
        return list(USUAL)
    names = [name.strip() for text in given for name in text.split(",")]
    return list(dict.fromkeys(name for name in names if name and name != NOTHING))


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
    response = HttpResponse(file_text(found), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{request.organization.slug}-comparison.csv"'
    return response
