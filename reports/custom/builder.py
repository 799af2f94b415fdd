"""Putting a report together: its fields, and the first rows as it stands."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.http import urlencode

from core.errors import ApiError
from metering.query.metrics import METRICS
from metering.query.ranges import LABELS
from metering.query.spec import MOST_GROUPS
from reports.breakdown import heading
from reports.custom import records, shown
from reports.custom.definition import AGAINST, EVERY_WORDS, Report, kept_of
from reports.custom.making import FORMAT_NAMES
from reports.custom.table import first_lines, totals
from reports.filters import dimension_label
from reports.models import CustomReport
from reports.saved.records import may_change

PREVIEWED = 50
# Offered at once; the others are behind "More metrics".
USUAL = (
    "cost_usd", "requests", "total_tokens", "prompt_tokens", "completion_tokens", "errors", "input_cost_usd",
    "output_cost_usd", "cache_read", "average_tokens", "average_latency_ms",
)  # fmt: skip
# Beside the dimensions of the filter bar.
TEXTS = ("chat", "file")
# What the fields set; everything else of the address goes along with them.
_FIELDS = ("range", "from", "to", "by", "metric", "every", "against", "sort", "limit")


def context(report: Report) -> dict[str, Any]:
    """The template's context; templates/reports/report_new.html says what it needs."""
    saved = current(report)
    page = report.head() | {"range": {}, "interval": {}, "compare": {}, "views": None}
    query = urlencode(kept_of(report.chosen.parameters), doseq=True)
    slug = report.organization.slug
    context = {
        "page": page | {"title": saved.name if saved else Report.title},
        "saved": saved,
        "is_changed": saved is not None and kept_of(report.chosen.parameters) != saved.parameters,
        "fields": _fields(report),
        "query": query,
        "formats": FORMAT_NAMES,
        "save_url": f"{reverse('reports:report-save', args=[slug])}?{urlencode({'query': query})}",
        "replace_url": _replace_url(report, saved, query),
    }
    return context | {"preview": _preview(report)}


def current(report: Report) -> CustomReport | None:
    """The saved report that the address says it came from."""
    named = report.chosen.given("report") or ""
    if not (named.isascii() and named.isdecimal() and len(named) < 10):
        return None
    return records.visible_reports(report.membership).filter(pk=int(named)).first()


def _replace_url(report: Report, saved: CustomReport | None, query: str) -> str | None:
    if saved is None or not may_change(saved, report.membership):
        return None
    address = reverse("reports:report-replace", args=[report.organization.slug, saved.pk])
    return f"{address}?{urlencode({'query': query})}"


def _fields(report: Report) -> dict[str, Any]:
    chosen = report.chosen
    custom = chosen.bar({})["range"]["custom"]
    by = [*report.by, ""][:MOST_GROUPS]
    offered = [name for name in (*report.dimensions, *TEXTS, *report.tags) if name not in report.hidden]
    return {
        "action_url": chosen.path,
        "hidden": [
            (name, value)
            for name, values in chosen.parameters.items()
            if name not in (*_FIELDS, "interval", "compare", "measure", "view", "cursor")
            for value in values
        ],
        "ranges": _options(LABELS, chosen.range.key),
        "is_custom": chosen.range.key == "custom",
        "from": custom["from"],
        "to": custom["to"],
        "zone": custom["zone"],
        "by": [
            {
                "label": "Rows by" if at == 0 else "Then by",
                "options": _options({"": "Nothing", **_dimensions(offered, report.by, name)}, name),
            }
            for at, name in enumerate(by)
        ],
        "every": _options({"none": "Nothing", **EVERY_WORDS}, report.every or "none"),
        "against": _options({"none": "Nothing", **AGAINST}, report.against or "none"),
        "metrics": [_metric(report, name) for name in USUAL],
        "more_metrics": [_metric(report, name) for name in METRICS if name not in USUAL],
        "has_more": any(name not in USUAL for name in report.metrics),
        "sorts": _sorts(report),
        "limit": chosen.given("limit") or "",
    }


def _options(choices: dict[str, str], current: str) -> list[dict[str, Any]]:
    return [{"key": key, "label": label, "is_current": key == current} for key, label in choices.items()]


def _dimensions(offered: list[str], taken: tuple[str, ...], own: str) -> dict[str, str]:
    """Each once: what another row of the fields has is not offered again."""
    names = [name for name in offered if name not in taken or name == own]
    return {name: dimension_label(name) for name in dict.fromkeys([*([own] if own else []), *names])}


def _metric(report: Report, name: str) -> dict[str, Any]:
    return {"key": name, "label": heading(name), "is_current": name in report.metrics}


def _sorts(report: Report) -> list[dict[str, Any]]:
    given = report.chosen.given("sort") or ""
    choices = {"": "Usual order"}
    for name, label in report.sorts.items():
        if name in report.by or name == "start":
            choices[name] = label
        else:
            choices[f"-{name}"] = f"{label}, most first"
            choices[name] = f"{label}, least first"
    return _options(choices, given)


def _preview(report: Report) -> dict[str, Any]:
    """The first rows and the totals; or what is wrong with the definition, in words."""
    try:
        definition = report.definition()
        found = first_lines(definition, PREVIEWED + 1)
        whole = totals(definition)
    except ApiError as error:
        return {"problem": error.message}
    return {
        "headings": shown.headings(definition),
        "names": shown.names(definition),
        "rows": [shown.cells(definition, line) for line in found[:PREVIEWED]],
        "is_cut": len(found) > PREVIEWED,
        "most": PREVIEWED,
        "limit": definition.limit,
        "totals": shown.figure_cells(definition, whole),
        "against": shown.against(definition),
        "uncompared": shown.uncompared(definition),
        "is_empty": not whole.now.requests and (whole.before is None or not whole.before.requests),
        "unpriced_tokens": whole.now.unpriced_tokens,
    }
