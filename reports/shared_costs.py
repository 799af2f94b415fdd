"""What no department used by itself, and how it is divided among them: docs/algorithms/shared-costs.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import msgspec
from django.db.models import Count, Q
from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.models import Department
from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from core import figures as words
from core.apportion import apportion
from core.csvcells import csv_text
from core.errors import ApiError
from core.figures import share
from core.money import NANOS_PER_USD, usd_text
from metering.query.latest import latest_event_at
from metering.query.metrics import Figures
from metering.query.run import UsageResult
from reports.page import UsagePage, show
from reports.stacks import name_of

MOST_SOURCES = 25
# What this page divides by itself: a filter by one of them would leave nothing to divide.
DIVIDED = ("department", "team")
COLUMNS = ("department", "cost_center", "people", "direct_cost_usd", "shared_cost_usd", "total_cost_usd")


class Place(msgspec.Struct, frozen=True):
    """A department with what it used by itself. `exists` is False for one that was deleted after it used something."""

    key: str | None
    name: str
    cost_center: str
    people: int
    direct_nanos: int
    exists: bool


class Rule(msgspec.Struct, frozen=True):
    """A way to divide: what each department weighs, and what it says where none weighs anything."""

    key: str
    label: str
    weight: Callable[[Place], int]
    sentence: str
    missing: str


RULES = {
    rule.key: rule
    for rule in (
        Rule(
            "direct",
            "By direct cost",
            lambda place: place.direct_nanos,
            "Each department bears as much of it as it has of the direct cost.",
            "No department has a direct cost in this range, so there is nothing to divide by.",
        ),
        Rule(
            "even",
            "Evenly",
            lambda place: int(place.exists),
            "Each department bears the same part of it.",
            "There is no department yet.",
        ),
        Rule(
            "headcount",
            "By people",
            lambda place: place.people,
            "Each department bears it by how many people are in its teams now.",
            "Nobody is in a team of a department, so there is nothing to divide by.",
        ),
    )
}


class Division(msgspec.Struct, frozen=True):
    """`parts` are what each place bears of the pool, None where the rule has nothing to divide by."""

    places: list[Place]
    pool: Figures
    parts: list[int] | None

    @property
    def total_nanos(self) -> int:
        return sum(place.direct_nanos for place in self.places) + self.pool.known_cost_nanos

    def borne(self, at: int) -> int | None:
        """What a place bears in all."""
        return None if self.parts is None else self.places[at].direct_nanos + self.parts[at]


def divide(places: list[Place], pool: Figures, rule: Rule) -> Division:
    weights = [rule.weight(place) for place in places]
    return Division(places, pool, apportion(pool.known_cost_nanos, weights) if any(weights) else None)


class SharedCosts(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:shared-costs"
    template = "reports/shared_costs.html"
    title = "Shared costs"
    parameters = ("rule",)

    @classmethod
    def of(cls, request: OrganizationRequest) -> Self:
        page = super().of(request)
        filters = {name: values for name, values in page.chosen.filters.items() if name not in DIVIDED}
        return msgspec.structs.replace(page, chosen=msgspec.structs.replace(page.chosen, filters=filters))

    @property
    def dimensions(self) -> list[str]:
        return [name for name in super().dimensions if name not in DIVIDED]

    @property
    def rule(self) -> Rule:
        """Raises ApiError 422."""
        key = self.chosen.given("rule") or next(iter(RULES))
        if key not in RULES:
            raise ApiError(422, "invalid_parameter", f"rule is one of {', '.join(RULES)}.", param="rule")
        return RULES[key]

    # ── Figures ──

    def division(self) -> Division:
        return self._division(self.run(group_by=("department",)))

    def _division(self, found: UsageResult) -> Division:
        """Departments there are, and deleted ones that used something; the largest direct cost first."""
        people = Count("teams__places__membership", distinct=True, filter=Q(teams__places__membership__ended_at=None))
        about = {d.pk: d for d in Department.objects.annotate(people=people)}
        used = {int(row.group["department"].ref or 0): row for row in found.rows}
        pool = used[0].figures if 0 in used else Figures()
        places = [
            Place(
                department.name,
                department.name,
                department.cost_center,
                getattr(department, "people"),  # noqa: B009  (an annotation, which types do not know)
                used[pk].figures.known_cost_nanos if pk in used else 0,
                exists=True,
            )
            for pk, department in about.items()
        ]
        for ref, row in used.items():
            if ref and ref not in about:
                group = row.group["department"]
                places.append(
                    Place(group.key, name_of(group, "department"), "", 0, row.figures.known_cost_nanos, exists=False)
                )
        places.sort(key=lambda place: (-place.direct_nanos, place.name.lower()))
        return divide(places, pool, self.rule)

    # ── Context ──

    def context(self) -> dict[str, Any]:
        """The template's context; templates/reports/shared_costs.html says what it needs."""
        rule = self.rule
        costs = self.chosen.carried_to(reverse("reports:costs", args=[self.organization.slug]))
        # A division is of the whole range: it has no interval, and nothing before it.
        page = self.head() | {
            "above": {"label": "Costs", "url": costs},
            "interval": {"options": []},
            "compare": {},
        }
        found = self.run(group_by=("department",))
        if found.totals.requests == 0:
            return {"page": page | {"has_data": False}}
        division = self._division(found)
        return {
            "page": page | {"has_data": True},
            "rules": [
                {"label": one.label, "url": self.chosen.url(rule=one.key), "is_current": one is rule}
                for one in RULES.values()
            ],
            "rule": rule,
            "pool": {
                "cost_nanos": division.pool.cost_nanos,
                "share": share(division.pool.known_cost_nanos, division.total_nanos),
                "tokens": division.pool.total_tokens,
                "requests": division.pool.requests,
                "unpriced_tokens": found.totals.unpriced_tokens,
            },
            "direct_nanos": sum(place.direct_nanos for place in division.places),
            "table": self._table(division),
            "centers": _centers(division),
            "chart": self._chart(division) if division.parts is not None else None,
            "sources": self._sources() if division.pool.requests else None,
            "manage_url": reverse("accounts:teams", args=[self.organization.slug])
            if not division.places and may(self.membership.role, Right.SEE_MEMBERS)
            else None,
            "proof": self.proof(found.totals, latest_event_at(self.organization.pk)),
        }

    def _table(self, division: Division) -> dict[str, Any]:
        usage = reverse("reports:usage", args=[self.organization.slug])
        return {
            "rows": [
                {
                    "label": place.name,
                    "cost_center": place.cost_center,
                    "people": place.people,
                    "direct_nanos": place.direct_nanos,
                    "shared_nanos": division.parts[at] if division.parts else None,
                    "total_nanos": division.borne(at),
                    "share": share(division.borne(at), division.total_nanos),
                    "url": self._without_divided(usage, department=place.key or "none"),
                }
                for at, place in enumerate(division.places)
            ],
            "total_nanos": division.total_nanos,
            "csv_url": self.chosen.url(reverse("reports:shared-costs-csv", args=[self.organization.slug])),
        }

    def _without_divided(self, path: str, **own: str) -> str:
        """Another page with this view, less the filters that do not count here."""
        kept = {name: values for name, values in self.chosen.parameters.items() if name not in DIVIDED}
        return msgspec.structs.replace(self.chosen, parameters=kept).carried_to(path, **own)

    def _chart(self, division: Division) -> dict[str, Any]:
        names = [place.name for place in division.places]
        direct = [place.direct_nanos for place in division.places]
        shared = division.parts or []

        def series(label: str, slot: int | str, values: Sequence[int]) -> dict[str, Any]:
            return {
                "label": label,
                "slot": slot,
                "data": [value / NANOS_PER_USD for value in values],
                "texts": [words.money(value) for value in values],
            }

        totals = [words.money(division.borne(at)) for at in range(len(names))]
        return {
            "id": "shared-costs",
            "title": "Direct and shared cost by department",
            "csv_url": self.chosen.url(reverse("reports:shared-costs-csv", args=[self.organization.slug])),
            "json": {
                "kind": "stack",
                "unit": "usd",
                "measure": "Cost",
                "zoom": False,
                "labels": names,
                "titles": names,
                "totals": totals,
                "series": [series("Direct", 1, direct), series("Shared", "other", shared)],
            },
            "table": {
                "columns": ["Department", "Direct", "Shared", "Total"],
                "rows": [
                    {"label": name, "cells": [words.money(own), words.money(part), total]}
                    for name, own, part, total in zip(names, direct, shared, totals, strict=True)
                ],
                "totals": [
                    words.money(sum(direct)),
                    words.money(sum(shared)),
                    words.money(division.total_nanos),
                ],
            },
        }

    def _sources(self) -> dict[str, Any]:
        """What the pool is made of, by what could be given a team."""
        by = ("project", "team", *(("api_key",) if "api_key" not in self.hidden else ()))
        found = self.run_within({"department": (None,)}, group_by=by, order_by=("-cost_usd",), limit=MOST_SOURCES)
        usage = reverse("reports:usage", args=[self.organization.slug])
        return {
            "columns": ["Project", "Team", *(["API key"] if "api_key" in by else [])],
            "rows": [
                {
                    "names": [name_of(row.group[name], name) for name in by],
                    "cost_nanos": row.figures.cost_nanos,
                    "is_partial": row.figures.is_cost_known and row.figures.unpriced_tokens > 0,
                    "tokens": row.figures.total_tokens,
                    "share": share(row.figures.cost_nanos, found.totals.known_cost_nanos),
                    "url": self._without_divided(
                        usage, department="none", **{name: row.group[name].key or "none" for name in by}
                    ),
                }
                for row in found.rows
            ],
            "is_cut": found.next_cursor is not None,
            "more_url": self._without_divided(usage, department="none", by="project"),
        }


def _centers(division: Division) -> list[dict[str, Any]]:
    """What each cost center bears; the same center of two departments once."""
    centers: dict[str, list[int]] = {}
    for at, place in enumerate(division.places):
        sums = centers.setdefault(place.cost_center, [0, 0])
        sums[0] += place.direct_nanos
        sums[1] += division.parts[at] if division.parts else 0
    return [
        {
            "label": center or "No cost center",
            "direct_nanos": direct,
            "shared_nanos": None if division.parts is None else shared,
            "total_nanos": None if division.parts is None else direct + shared,
        }
        for center, (direct, shared) in sorted(centers.items(), key=lambda one: (not one[0], one[0]))
    ]


@require_GET
@require(Right.SEE_USAGE)
def shared_costs(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, SharedCosts)


@require_GET
@require(Right.SEE_USAGE)
def shared_costs_file(request: OrganizationRequest) -> HttpResponseBase:
    """What each department bears, to the nano-dollar; what could not be divided stands in a line of its own."""
    division = SharedCosts.of(request).division()
    lines: list[list[Any]] = [list(COLUMNS)]
    for at, place in enumerate(division.places):
        part = division.parts[at] if division.parts else None
        borne = division.borne(at)
        money = [usd_text(nanos) for nanos in (place.direct_nanos, part, borne)]
        lines.append([place.name, place.cost_center, place.people, *money])
    if division.parts is None:
        lines.append(["No department", "", None, None, usd_text(division.pool.known_cost_nanos), None])
    response = HttpResponse(csv_text(lines), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{request.organization.slug}-shared-costs.csv"'
    return response
