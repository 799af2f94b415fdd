"""Voice: what calls cost that heard or spoke, how much of it is the sound, by model and over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.requests import OrganizationRequest
from core import figures as words
from core.csvcells import csv_text
from core.money import FEMTOS_PER_NANO, divide_half_even
from metering.query.costs import CostLine, analyze_costs
from metering.query.events import list_events
from metering.query.metrics import Figures, written
from metering.query.run import UsageResult
from reports.calls import call_row
from reports.page import UsagePage, sees_usage, show
from reports.parts import measure_options
from reports.ranking import Ranking
from reports.series import MEASURES, Line, Measure, chart, interval_words, table
from reports.stacks import make_stack, stack_chart, stack_table
from reports.usage_pages import usage_tabs

COLUMNS = ("requests", "audio_input", "audio_output", "seconds", "cost_usd", "average_latency_ms")
PAGE_CALLS = 25
# Lines of a bill that are sound: tokens heard and spoken, and recordings charged by their length.
SOUND = frozenset({"audio_input", "audio_output", "media_hours"})
HEARD = Measure(
    "audio",
    "Audio tokens",
    "tokens",
    "audio_input",
    (
        Line("Audio in", lambda f: f.audio_input, "kind-input"),
        Line("Audio out", lambda f: f.audio_output, "kind-output"),
    ),
)
RECORDED = Measure("recorded", "Recorded", "milliseconds", "seconds", (Line("Recorded", lambda f: f.media_ms, "3"),))
FILE_METRICS = ("requests", "errors", "audio_input", "audio_output", "seconds", "total_tokens", "cost_usd")


class Voice(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:voice"
    template = "reports/voice.html"
    title = "Voice"
    measures = ("cost", "requests", "tokens")
    parameters = ("sort", "cursor")

    def context(self) -> dict[str, Any]:
        page = self.head() | {"tabs": usage_tabs(self)}
        series = self.of_sound(interval=self.chosen.interval)
        if series.totals.requests == 0:
            return {"page": page | {"has_data": False}}
        cursor = self.chosen.given("cursor")
        span = self.chosen.range
        calls = list_events(
            self.organization.pk, span.start, span.end, self.chosen.filters, limit=PAGE_CALLS, cursor=cursor,
            with_audio=True,
        )  # fmt: skip
        return {
            "page": page | {"has_data": True},
            "cards": self._cards(series.totals),
            "charts": self._charts(series),
            "ranking": self._ranking().context(),
            "calls": [call_row(event, self.organization.slug) for event in calls.rows],
            "next_url": calls.next_cursor and f"{self.chosen.url(cursor=calls.next_cursor)}#calls",
            "first_url": f"{self.chosen.url()}#calls" if cursor else None,
        }

    def of_sound(self, *args: Any, **other: Any) -> UsageResult:
        return self.run(*args, with_audio=True, **other)

    def by_model(self) -> UsageResult:
        order = f"-{MEASURES[self.chosen.measure].metric}"
        return self.of_sound(group_by=("model",), order_by=(order,))

    def _cards(self, totals: Figures) -> list[dict[str, Any]]:
        span, before = self.chosen.range.previous_so_far, None
        if self.chosen.is_compared and span.end > span.start:
            before = self.of_sound(span).totals
        lines = analyze_costs(self.chosen.query(self.organization.pk, with_audio=True)).lines
        cards = [
            ("Cost of voice calls", "money", totals.cost_nanos, before and before.cost_nanos),
            ("Voice calls", "count", totals.requests, before and before.requests),
            ("Audio heard", "tokens", totals.audio_input, before and before.audio_input),
            ("Audio spoken", "tokens", totals.audio_output, before and before.audio_output),
            ("Recorded", "duration", totals.media_ms, before and before.media_ms),
        ]
        made = [
            {"label": label, "format": kind, "value": now, "previous": earlier} for label, kind, now, earlier in cards
        ]
        sound = sound_nanos(lines)
        share = words.share(sound, totals.known_cost_nanos) if sound is not None else None
        return [made[0] | {"note": self._of_sound_words(sound, share)}, *made[1:]]

    def _of_sound_words(self, sound: int | None, share: Any) -> str:
        if sound is None:
            return "what the sound cost is unknown"
        return f"{words.money(sound)} of it for the sound" + (f", {words.percent(share)}" if share is not None else "")

    def _charts(self, series: UsageResult) -> list[dict[str, Any]]:
        chosen, measure = self.chosen, MEASURES[self.chosen.measure]
        stack = make_stack(self, "model", series, with_audio=True)
        csv_url = chosen.url(reverse("reports:voice-file", args=[self.organization.slug]))
        first = {
            "id": "voice-over-time",
            "title": f"{measure.label} of voice calls by {interval_words(chosen.interval)} and model",
            "measure": measure_options(self),
            "json": stack_chart(self, stack, kind="stack"),
            "table": stack_table(self, stack),
            "csv_url": csv_url,
            "drawing": "bar-chart",
        }
        past = [row for row in series.rows if row.start <= self.now]
        rest = []
        for shown, is_there in (
            (HEARD, series.totals.audio_input + series.totals.audio_output > 0),
            (RECORDED, series.totals.media_ms > 0),
        ):
            if is_there:
                rest.append(
                    {
                        "id": f"voice-{shown.key}",
                        "title": f"{shown.label} by {interval_words(chosen.interval)}",
                        "json": chart(shown, chosen.interval, chosen.zone, self.now, series.rows, ()),
                        "table": table(shown, chosen.interval, chosen.zone, past, series.totals),
                        "csv_url": csv_url,
                    }
                )
        return [first, *rest]

    def _ranking(self) -> Ranking:
        return Ranking(
            page=self, id="models", title="Models", dimension="model", columns=COLUMNS, result=self.by_model(),
            csv_url=self.chosen.url(reverse("reports:voice-models-file", args=[self.organization.slug])),
        )  # fmt: skip


def sound_nanos(lines: Iterable[CostLine]) -> int | None:
    """What tokens of sound and recorded time cost among these lines, rounded once; None where no price tells."""
    of_sound = [line for line in lines if line.bucket in SOUND]
    if of_sound and all(line.amount_femtos is None for line in of_sound):
        return None
    return divide_half_even(sum(line.amount_femtos or 0 for line in of_sound), FEMTOS_PER_NANO)


@require_GET
@sees_usage
def voice(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Voice)


@require_GET
@sees_usage
def voice_file(request: OrganizationRequest) -> HttpResponse:
    """Voice calls over time, exact to the last digit."""
    page = Voice.of(request)
    rows = [
        (row.start.astimezone(page.chosen.zone).isoformat(), *written(row.figures, FILE_METRICS).values())
        for row in page.of_sound(interval=page.chosen.interval).rows
        if row.start <= page.now
    ]
    return _file("start", rows, f"voice-by-{page.chosen.interval}.csv")


@require_GET
@sees_usage
def models_file(request: OrganizationRequest) -> HttpResponse:
    page = Voice.of(request)
    rows = [(row.group["model"].key, *written(row.figures, FILE_METRICS).values()) for row in page.by_model().rows]
    return _file("model", rows, "voice-by-model.csv")


def _file(first: str, rows: Sequence[Sequence[Any]], name: str) -> HttpResponse:
    response = HttpResponse(csv_text([(first, *FILE_METRICS), *rows]), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
