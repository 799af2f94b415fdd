"""What the forecast page shows of one question."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from django.urls import reverse

from accounts.models import Membership, Organization
from accounts.permissions import Right, administered_team_ids, may
from billing.budgets.reach import Reach
from metering.query.latest import latest_event_at
from reports.forecasting.ahead import Ahead, Elapsed
from reports.forecasting.asked import SCOPES, Asked, administered_teams
from reports.forecasting.charts import day_chart, month_chart
from reports.forecasting.exhaustion import Exhaustion, exhaustions
from reports.forecasting.goodness import goodness, held_words
from reports.forecasting.lasting import shown
from reports.forecasting.periods import NEXT_DAYS, Ending, endings, recent, text_of
from reports.forecasting.records import Kept, fresh
from reports.forecasting.subjects import NIGHTLY_TEAMS, RECENT_DAYS, WHOLE, largest
from reports.models import ForecastMeasure

MOST_BOUNDS = 20
_NAMES = {"team": "Team", "project": "Project", "model": "Model"}


class ForecastPage(msgspec.Struct, frozen=True):
    """Who asks for what. Needs the organization's scope."""

    membership: Membership
    asked: Asked
    at: dt.datetime

    @property
    def organization(self) -> Organization:
        organization: Organization = self.membership.organization
        return organization

    def context(self) -> dict[str, Any]:
        """templates/reports/forecast.html says what it needs."""
        asked, organization = self.asked, self.organization
        head = self._head()
        if latest_event_at(organization.pk) is None:
            return {"page": head, "has_usage": False}
        kept = fresh(organization, [(asked.subject, asked.measure)], self.at)[asked.subject, asked.measure]
        days = recent(organization, asked.subject, self.at)
        ahead = None
        if kept.outlook is not None:
            ahead = Ahead.of(kept.outlook, Elapsed.of(self.at, organization.zone))
        bounds = self._bounds()
        ends = endings(organization, asked.measure, days, ahead, self.at)
        shown_days = {1, 7, NEXT_DAYS, *((one.ends_on - kept.first_day).days for one in ends)}
        csv_url = f"{reverse('reports:forecast-file', args=[organization.slug])}?{asked.query()}"
        return {
            "page": head,
            "has_usage": True,
            "is_money": asked.measure == ForecastMeasure.COST,
            "kept": kept,
            "made": self._made(kept),
            "endings": [_ending(one, asked.measure, kept) for one in ends],
            "bounds": [shown(one, organization.slug) for one in bounds[:MOST_BOUNDS]],
            "more_bounds": len(bounds[MOST_BOUNDS:]),
            "chart": day_chart(asked.measure, days, kept.outlook, csv_url),
            "month_chart": None
            if ahead is None
            else month_chart(asked.subject, asked.measure, days, ends[0], ahead, bounds),
            "goodness": goodness(kept.outlook.measured, kept.horizons, shown_days)
            if kept.outlook and kept.outlook.measured
            else None,
            "unpriced_tokens": sum(figures.unpriced_tokens for figures in days.values()),
            "csv_url": csv_url,
        }

    # ── Head ──

    def _head(self) -> dict[str, Any]:
        asked, slug = self.asked, self.organization.slug
        path = reverse("reports:forecast", args=[slug])
        whole = f"{path}?{asked.query(**dict.fromkeys(SCOPES))}"
        menus = self._menus(path) if self._sees_all else []
        return {
            "title": "Forecast",
            "subtitle": f"{asked.label} · {self.organization.timezone}",
            "measures": [
                {
                    "label": measure.label,
                    "url": f"{path}?{asked.query(measure=measure.value)}",
                    "is_current": measure == asked.measure,
                }
                for measure in ForecastMeasure
            ],
            "whose": self._whose(path),
            "menus": menus,
            "is_cut": any(menu["is_cut"] for menu in menus),
            "chosen": {"key": _NAMES[asked.subject.scope], "label": asked.label, "remove_url": whole}
            if self._sees_all and asked.subject != WHOLE
            else None,
            "planning_url": reverse("reports:planning", args=[slug])
            if self._sees_all or administered_team_ids(self.membership)
            else None,
        }

    @property
    def _sees_all(self) -> bool:
        return may(self.membership.role, Right.SEE_USAGE)

    def _whose(self, path: str) -> list[dict[str, Any]]:
        """For who administers teams: their own usage, and each team's."""
        teams = administered_teams(self.membership)
        if not teams:
            return []
        asked = self.asked
        own = {"label": "You", "url": f"{path}?{asked.query(team=None)}", "is_current": asked.key is None}
        return [
            own,
            *(
                {
                    "label": team.name,
                    "url": f"{path}?{asked.query(team=team.slug)}",
                    "is_current": asked.subject.ref == team.pk and asked.key is not None,
                }
                for team in teams
            ),
        ]

    def _menus(self, path: str) -> list[dict[str, Any]]:
        """The largest of each scope."""
        menus = []
        for scope in SCOPES:
            found = largest(self.organization, scope, self.at)
            nobody = dict.fromkeys(SCOPES)
            options = [
                {
                    "label": found.names[subject.ref].label
                    or (f"No {scope}" if not subject.ref else f"deleted {scope}"),
                    "url": f"{path}?{self.asked.query(**{**nobody, scope: found.names[subject.ref].key or 'none'})}",
                    "is_current": subject == self.asked.subject,
                }
                for subject in found.subjects
            ]
            if options:
                menus.append({"key": _NAMES[scope], "options": options, "is_cut": found.is_cut})
        return menus

    # ── Parts ──

    def _bounds(self) -> list[Exhaustion]:
        return exhaustions(
            self.organization,
            self.asked.subject,
            self.at,
            reach=Reach.of(self.membership),
            with_credits=may(self.membership.role, Right.SEE_MONEY),
        )

    def _made(self, kept: Kept) -> dict[str, Any]:
        outlook = kept.outlook
        last_day = kept.first_day - dt.timedelta(days=1)
        return {
            "at": kept.made_at,
            "from": kept.history_from,
            "until": last_day,
            "days": len(kept.history),
            "method": "" if outlook is None else outlook.method,
            "basis": "" if outlook is None else outlook.basis,
            "nightly_teams": NIGHTLY_TEAMS,
            "recent_days": RECENT_DAYS,
        }


def _ending(one: Ending, measure: str, kept: Kept) -> dict[str, Any]:
    band = one.band
    return {
        "key": one.key,
        "label": one.label,
        "starts_on": one.starts_on,
        "last_day": one.ends_on - dt.timedelta(days=1),
        "so_far": one.so_far,
        "band": band,
        "held": None if band is None else held_words((one.ends_on - kept.first_day).days, kept.horizons),
        "texts": None if band is None else [text_of(end, measure) for end in msgspec.structs.astuple(band)],
    }
