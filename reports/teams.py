"""Who uses what: teams, departments with their cost centers, members; and one team in detail (`?team=search`)."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Self

import msgspec
from django.db.models import Count
from django.http import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.models import Department, Team
from accounts.permissions import Right, may
from accounts.requests import OrganizationRequest
from billing.features import includes, plans_including
from billing.models import Feature
from core.errors import ApiError
from core.figures import share
from metering.query.labels import GroupValue
from metering.query.latest import latest_event_at
from metering.query.metrics import Figures
from metering.query.run import UsageResult, UsageRow
from reports.bounds import limit_rows, standings
from reports.models import Symptom
from reports.page import UsagePage, sees_usage, show
from reports.parts import CARDS, COST, earlier_rows, measure_options, summary, time_series
from reports.series import MEASURES, interval_words
from reports.stacks import make_stack, name_of, slot_of, stack_chart, stack_table
from reports.team_people import people_of, people_of_teams, teams_of_members

MOST_CARDS = 6
MOST_MEMBERS = 50
MOST_PARTS = 8


class Teams(UsagePage, frozen=True, kw_only=True):
    """Every team to who sees the organization's usage; to a member those they administer, each by itself."""

    url_name = "reports:teams"
    template = "reports/teams.html"
    title = "Teams"

    @classmethod
    def of(cls, request: OrganizationRequest) -> Self:
        """Raises ApiError 403 for a member who administers no team."""
        page = super().of(request)
        if not page.fixed or page.team:
            return page
        if not page.teams:
            raise ApiError(403, "forbidden", "Only who administers a team sees what it uses.")
        filters = {name: values for name, values in page.chosen.filters.items() if name not in page.fixed}
        filters["team"] = tuple(team.pk for team in page.teams)
        only = page.teams[0] if len(page.teams) == 1 else None
        parameters = {**page.chosen.parameters, "team": (only.slug,)} if only else page.chosen.parameters
        chosen = msgspec.structs.replace(page.chosen, filters=filters, parameters=parameters)
        return msgspec.structs.replace(page, chosen=chosen, fixed=frozenset({"team"}), team=only)

    @property
    def whose(self) -> str:
        return "Your teams" if self._is_of_several else super().whose

    @property
    def _is_of_several(self) -> bool:
        """Of the teams a member administers: no other page shows them together."""
        return bool(self.fixed) and self.team is None

    def _whose(self) -> list[dict[str, Any]]:
        """The list says it."""
        return []

    def head(self) -> dict[str, Any]:
        head = super().head()
        return head | {"exports": None} if self._is_of_several else head

    def proof(self, totals: Figures, last_event_at: dt.datetime | None) -> dict[str, Any]:
        proof = super().proof(totals, last_event_at)
        return proof | {"recount_url": None} if self._is_of_several else proof

    # ── The plan ──

    @property
    def is_included(self) -> bool:
        return includes(self.organization, Feature.TEAM_USAGE)

    def _withheld(self) -> dict[str, Any]:
        """Which plans have it, and for who may look at plans the way to them."""
        return {
            "plans": " or ".join(plans_including(self.organization, Feature.TEAM_USAGE)),
            "plans_url": reverse("billing:plan", args=[self.organization.slug])
            if may(self.membership.role, Right.SEE_MONEY)
            else None,
        }

    # ── Context ──

    def context(self) -> dict[str, Any]:
        """The template's context; templates/reports/teams.html says what it needs."""
        if not self.is_included:
            return {"page": {"title": self.title}, "withheld": self._withheld()}
        page = self.head()
        series = self.run(interval=self.chosen.interval)
        team = self._chosen_team()
        if team is not None:
            page |= {"title": team.name, "list_url": self.chosen.url(team=None) if len(self.teams) != 1 else None}
        if series.totals.requests == 0:
            return {"page": page | {"has_data": False}, "team": team}
        return {
            "page": page | {"has_data": True},
            "proof": self.proof(series.totals, latest_event_at(self.organization.pk)),
            "summary": summary(self, series, self.before(), (*CARDS, COST)),
            "coverage": series.coverage.shares,
            **(self._detail(team, series) if team else self._overview(series)),
        }

    def _chosen_team(self) -> Team | None:
        """The one team the view is about, if it is."""
        if self.fixed:
            return self.team
        wanted = self.chosen.filters.get("team", ())
        return Team.objects.filter(slug__iexact=str(wanted[0])).first() if len(wanted) == 1 and wanted[0] else None

    # ── All of them ──

    def _overview(self, series: UsageResult) -> dict[str, Any]:
        measure = MEASURES[self.chosen.measure]
        order = (f"-{measure.metric}",)
        found = self.run(group_by=("team",), order_by=order)
        earlier = self._earlier("team")
        people = people_of_teams()
        rows = self._team_rows(found, earlier, people)
        stack = make_stack(self, "team", series)
        sparks = {part.label: [value or 0 for value in part.values] for part in stack.parts}
        return {
            "cards": [row | {"spark": sparks.get(row["label"], [])} for row in rows if row["is_team"]][:MOST_CARDS],
            "teams": {
                "rows": rows,
                "totals": _facts(series.totals),
                "csv_url": self._csv_url("teams-csv"),
                "diagnosis_url": self.diagnosis_url(Symptom.TOTALS),
            },
            "chart": {
                "id": "teams-over-time",
                "title": f"{measure.label} by {interval_words(self.chosen.interval)} and team",
                "measure": measure_options(self),
                "json": stack_chart(self, stack, kind="stack", earlier=earlier_rows(self)),
                "table": stack_table(self, stack),
                "csv_url": self._csv_url("teams-trend"),
            },
            "departments": self._departments() if not self.fixed else None,
            "members": self._members() if "member" in self.dimensions else None,
        }

    def _earlier(self, dimension: str) -> dict[Any, Figures]:
        """As much of the period before as has passed of this one, by reference."""
        span = self.chosen.range.previous_so_far
        if not self.chosen.is_compared or span.end <= span.start:
            return {}
        return {row.group[dimension].ref: row.figures for row in self.run(span, group_by=(dimension,)).rows}

    def _team_rows(
        self, found: UsageResult, earlier: Mapping[Any, Figures], people: Mapping[int, int]
    ) -> list[dict[str, Any]]:
        """Teams with usage as the query has them, then those without any."""
        departments = dict(Team.objects.filter(department__isnull=False).values_list("pk", "department__name"))
        listed = [(row.group["team"], row.figures) for row in found.rows]
        with_usage = {group.ref for group, _ in listed}
        if not self.is_narrowed:
            unused = Team.objects.exclude(pk__in=[ref for ref in with_usage if isinstance(ref, int)]).order_by("name")
            if self.fixed:
                unused = unused.filter(pk__in=[team.pk for team in self.teams])
            listed += [(GroupValue(team.pk, team.slug, team.name), Figures()) for team in unused]
        return [
            _facts(figures, found.totals, earlier.get(group.ref))
            | {
                "label": name_of(group, "team"),
                "slot": slot_of(group),
                "is_team": group.key is not None,
                "department": departments.get(int(group.ref or 0), ""),
                "people": people.get(int(group.ref or 0), 0) if group.key is not None else None,
                "per_person": _per_person(figures, people.get(int(group.ref or 0), 0)),
                "url": self.chosen.filtered_url("team", group.key),
            }
            for group, figures in listed
        ]

    def _departments(self) -> dict[str, Any]:
        found = self.run(group_by=("department",), order_by=("-cost_usd",))
        earlier = self._earlier("department")
        about = {d.pk: d for d in Department.objects.annotate(team_count=Count("teams"))}
        slug = self.organization.slug
        usage = reverse("reports:usage", args=[slug])
        rows = []
        for row in found.rows:
            group = row.group["department"]
            known = about.get(int(group.ref or 0))
            rows.append(
                _facts(row.figures, found.totals, earlier.get(group.ref))
                | {
                    "label": name_of(group, "department"),
                    "cost_center": known.cost_center if known else "",
                    "teams": known.team_count if known else None,
                    "url": self.chosen.carried_to(usage, by="team", department=group.key or "none"),
                }
            )
        return {
            "rows": rows,
            "totals": _facts(found.totals),
            "csv_url": self._csv_url("cost-centers"),
            "shared_url": self.chosen.carried_to(reverse("reports:shared-costs", args=[slug])),
        }

    def _members(self) -> dict[str, Any]:
        found = self.run(group_by=("member",), limit=MOST_MEMBERS)
        earlier = self._earlier("member")
        teams = teams_of_members(int(row.group["member"].ref or 0) for row in found.rows)
        usage = reverse("reports:usage", args=[self.organization.slug])
        return {
            "rows": [
                _facts(row.figures, found.totals, earlier.get(row.group["member"].ref))
                | {
                    "label": name_of(row.group["member"], "member"),
                    "sub": ", ".join(teams.get(int(row.group["member"].ref or 0), ())),
                    "url": self.chosen.carried_to(usage, member=row.group["member"].key or "none"),
                }
                for row in found.rows
            ],
            "totals": _facts(found.totals),
            "is_compared": bool(earlier),
            "more_url": self.chosen.carried_to(usage, by="member") if found.next_cursor else None,
            "csv_url": self.chosen.carried_to(
                reverse("reports:usage-breakdown", args=[self.organization.slug]), by="member"
            ),
        }

    def _csv_url(self, name: str) -> str:
        return self.chosen.url(reverse(f"reports:{name}", args=[self.organization.slug]))

    # ── One team ──

    def _detail(self, team: Team, series: UsageResult) -> dict[str, Any]:
        people = people_of(team)
        # One reading of the team's events, summed by each of the three.
        parts = self.run(group_by=("member", "model", "project"))
        of_team = msgspec.structs.replace(self, team=team, fixed=frozenset({"team"}))
        limits = standings(of_team)
        return {
            "team": {
                "name": team.name,
                "department": team.department.name if team.department else "",
                "cost_center": team.department.cost_center if team.department else "",
                "people": len(people),
                "manage_url": reverse("accounts:team", args=[self.organization.slug, team.pk])
                if may(self.membership.role, Right.SEE_MEMBERS)
                else None,
            },
            "chart": time_series(of_team, series, earlier_rows(self), limits),
            "limits": limit_rows(of_team, limits),
            "members": self._team_members(parts, people),
            "breakdowns": [
                self._part(parts, "model", "Models", "Model"),
                self._part(parts, "project", "Projects", "Project"),
            ],
        }

    def _team_members(self, parts: UsageResult, people: Mapping[int, str]) -> dict[str, Any]:
        """Who used something in the team, and who of it did not."""
        usage = reverse("reports:usage", args=[self.organization.slug])
        rows = []
        seen = set()
        for group, figures in summed(parts.rows, "member"):
            seen.add(group.ref)
            rows.append(
                _facts(figures, parts.totals)
                | {
                    "label": name_of(group, "member"),
                    "sub": "" if group.ref in people or group.key is None else "not in the team",
                    "url": self.chosen.carried_to(usage, member=group.key or "none"),
                }
            )
        idle = sorted(name for pk, name in people.items() if pk not in seen)
        rows += [_facts(Figures(), parts.totals) | {"label": name, "sub": "no usage", "url": None} for name in idle]
        shown = rows[:MOST_MEMBERS]
        return {
            "rows": shown,
            "totals": _facts(parts.totals),
            "more_url": self.chosen.carried_to(usage, by="member") if len(rows) > len(shown) else None,
            "csv_url": self.chosen.carried_to(
                reverse("reports:usage-breakdown", args=[self.organization.slug]), by="member"
            ),
        }

    def _part(self, parts: UsageResult, dimension: str, title: str, unit_label: str) -> dict[str, Any]:
        return {
            "id": f"team-{dimension}",
            "title": title,
            "unit_label": unit_label,
            "more_url": self.chosen.carried_to(reverse("reports:usage", args=[self.organization.slug]), by=dimension),
            "rows": [
                {
                    "label": name_of(group, dimension),
                    "value": figures.total_tokens,
                    "cost_nanos": figures.cost_nanos,
                    "share": share(figures.total_tokens, parts.totals.total_tokens),
                    "url": self.chosen.filtered_url(dimension, group.key),
                }
                for group, figures in summed(parts.rows, dimension)[:MOST_PARTS]
            ],
        }


def summed(rows: Iterable[UsageRow], dimension: str) -> list[tuple[GroupValue, Figures]]:
    """Rows of several dimensions by one of them, the largest first."""
    figures: dict[Any, Figures] = defaultdict(Figures)
    groups: dict[Any, GroupValue] = {}
    for row in rows:
        group = row.group[dimension]
        groups[group.ref] = group
        figures[group.ref] += row.figures
    return sorted(((groups[ref], total) for ref, total in figures.items()), key=lambda one: -one[1].total_tokens)


def _facts(figures: Figures, totals: Figures | None = None, before: Figures | None = None) -> dict[str, Any]:
    """What every row of these tables has; `before` None where nothing is compared."""
    return {
        "tokens": figures.total_tokens,
        "requests": figures.requests,
        "cost_nanos": figures.cost_nanos,
        "is_partial": figures.is_cost_known and figures.unpriced_tokens > 0,
        "token_share": share(figures.total_tokens, totals.total_tokens) if totals else None,
        "cost_share": share(figures.cost_nanos, totals.known_cost_nanos) if totals else None,
        "previous_tokens": before.total_tokens if before else None,
    }


def _per_person(figures: Figures, people: int) -> Fraction | None:
    return Fraction(figures.total_tokens, people) if people else None


# ── Answers ──


@require_GET
@sees_usage
def teams(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Teams)
