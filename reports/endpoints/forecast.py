"""/v1/forecast"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from django.utils.timezone import now
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.models import Organization, Scope
from billing.budgets.reach import Reach
from core.money import usd_text
from reports.forecasting.ahead import Ahead, Elapsed
from reports.forecasting.asked import PARAMETERS, Asked, asked_by_key
from reports.forecasting.exhaustion import Exhaustion, State, exhaustions
from reports.forecasting.goodness import contests
from reports.forecasting.horizons import Horizon
from reports.forecasting.outlook import Band, Measured
from reports.forecasting.periods import Ending, endings, recent
from reports.forecasting.records import MEASURES, Kept, fresh
from reports.models import ForecastMeasure

HORIZON = {
    "days_ahead": 9,
    "trials": 126,
    "day_hits": 102,
    "naive_day_hits": 98,
    "total_hits": 99,
    "naive_total_hits": 91,
    "total_error": 0.061,
    "naive_total_error": 0.079,
}
FORECAST = {
    "scope": "team",
    "of": "search",
    "label": "Search",
    "measure": "cost",
    "unit": "usd",
    "timezone": "Europe/Berlin",
    "made_at": "2026-11-22T00:10:04Z",
    "history": {"from": "2025-10-18", "until_before": "2026-11-22"},
    "method": "A blend of 12 simple rules, weighted by how wrong each was: the last week, by "
    "weekday (41%); the last month, by weekday (22%).",
    "basis": "From 400 days of usage. Weekdays are told apart; seasons of the year are not, which takes two years.",
    "days": [{"date": "2026-11-22", "low": "3.1802", "likely": "4.207", "high": "5.0119"}],
    "totals": [{"until": "2026-11-22", "low": "3.1802", "likely": "4.207", "high": "5.0119"}],
    "periods": [
        {
            "period": "month",
            "starts_on": "2026-11-01",
            "ends_on": "2026-12-01",
            "so_far": "409.702114",
            "low": "478.118",
            "likely": "501.93",
            "high": "522.4",
            "days_ahead": 9,
            "measured": HORIZON,
        }
    ],
    "exhaustion": [
        {
            "kind": "budget",
            "budget": 4,
            "label": "Search",
            "unit": "usd",
            "amount": "450",
            "used": "409.702114",
            "starts_on": "2026-11-01",
            "ends_on": "2026-12-01",
            "state": "likely",
            "early": "2026-11-24",
            "likely": "2026-11-25",
            "late": "2026-11-26",
        }
    ],
    "measured": {
        "origins": 128,
        "days": {"hits": 3_091, "trials": 3_863},
        "totals": {"hits": 3_002, "trials": 3_863},
        "scale": 1_204_118_002.5,
        "errors": [{"name": "mase", "forecast": 0.87, "naive": 1.04}],
        "is_naive_better_in": [],
        "horizons": [HORIZON],
    },
}


class BandSerializer(serializers.Serializer[Any]):
    low = serializers.JSONField(help_text="In 10 of 100 cases it is no more than that. A decimal string in money.")
    likely = serializers.JSONField(help_text="In half of the cases.")
    high = serializers.JSONField(help_text="In 90 of 100 cases.")


class DaySerializer(BandSerializer):
    date = serializers.DateField()


class TotalSerializer(BandSerializer):
    until = serializers.DateField(help_text="All days up to this one, and with it.")


class HorizonSerializer(serializers.Serializer[Any]):
    days_ahead = serializers.IntegerField(help_text="How many days, today's among them.")
    trials = serializers.IntegerField(help_text="Past mornings of which so many days have come since.")
    day_hits = serializers.IntegerField(help_text="The last of these days lay within its range.")
    naive_day_hits = serializers.IntegerField(help_text="Of repeating the last week.")
    total_hits = serializers.IntegerField(help_text="The sum of these days lay within its range.")
    naive_total_hits = serializers.IntegerField()
    total_error = serializers.FloatField(allow_null=True, help_text="The median share by which the likely sum was off.")
    naive_total_error = serializers.FloatField(allow_null=True)


class PeriodSerializer(serializers.Serializer[Any]):
    period = serializers.ChoiceField(choices=["month", "billing_period", "next_30_days"])
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(help_text="The first day behind it.")
    so_far = serializers.JSONField()
    low = serializers.JSONField(allow_null=True, help_text="Of the whole period, with what was used so far.")
    likely = serializers.JSONField(allow_null=True)
    high = serializers.JSONField(allow_null=True)
    days_ahead = serializers.IntegerField(help_text="Days that are left of it, today among them.")
    measured = HorizonSerializer(allow_null=True, help_text="How good it was before, as many days ahead.")


class ExhaustionSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["allowance", "credits", "budget"])
    budget = serializers.IntegerField(allow_null=True, help_text="Its id.")
    label = serializers.CharField()  # type: ignore[assignment]
    unit = serializers.ChoiceField(choices=["tokens", "usd"])
    amount = serializers.JSONField()
    used = serializers.JSONField()
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(allow_null=True, help_text="The first day behind it; credits have none.")
    state = serializers.ChoiceField(choices=[state.value for state in State])
    early = serializers.DateField(allow_null=True, help_text="Used up by then in 10 of 100 cases; null: not within it.")
    likely = serializers.DateField(allow_null=True)
    late = serializers.DateField(allow_null=True)


class HitsSerializer(serializers.Serializer[Any]):
    hits = serializers.IntegerField(help_text="Came within the range; eight of ten are meant to.")
    trials = serializers.IntegerField()


class ErrorOfSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="mase, wql, total_wql or total_error; less is better.")
    forecast = serializers.FloatField()
    naive = serializers.FloatField(help_text="Of repeating the last week.")


class MeasuredSerializer(serializers.Serializer[Any]):
    origins = serializers.IntegerField(help_text="Past mornings that were tried, each by what was known then.")
    days = HitsSerializer()
    totals = HitsSerializer()
    scale = serializers.FloatField(
        help_text="What mase is in units of: what a day differs by from the same day a week before, in tokens or "
        "billionths of a dollar."
    )
    errors = ErrorOfSerializer(many=True)  # type: ignore[assignment]
    is_naive_better_in = serializers.ListField(child=serializers.CharField())
    horizons = HorizonSerializer(many=True, help_text="Each distance by itself: one day ahead, two, …")


class HistorySerializer(serializers.Serializer[Any]):
    until_before = serializers.DateField()

    def get_fields(self) -> dict[str, Any]:
        # "from" is a word of the language.
        return {"from": serializers.DateField(), **super().get_fields()}


class ForecastSerializer(serializers.Serializer[Any]):
    scope = serializers.CharField()
    of = serializers.CharField(allow_null=True, help_text="Slug or name; null for the organization.")
    label = serializers.CharField()  # type: ignore[assignment]
    measure = serializers.ChoiceField(choices=MEASURES)
    unit = serializers.ChoiceField(choices=["tokens", "usd"])
    timezone = serializers.CharField()
    made_at = serializers.DateTimeField()
    history = HistorySerializer()
    method = serializers.CharField(allow_null=True)
    basis = serializers.CharField(allow_null=True)
    days = DaySerializer(many=True, help_text="Empty where there is too little history.")
    totals = TotalSerializer(many=True)
    periods = PeriodSerializer(many=True)
    exhaustion = ExhaustionSerializer(many=True)
    measured = MeasuredSerializer(allow_null=True, help_text="Null: too little history to have tried anything.")


@extend_schema(tags=["Forecasts"])
class ForecastView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ
    query_parameters = PARAMETERS

    @extend_schema(
        summary="Get a forecast",
        description=(
            "What is likely to be used on the next days, of the organization or of one team, project or model, with "
            "how wrong the same was before. Made every night. Budgets and credits are among what may be used up "
            "for keys with `billing:read`."
        ),
        operation_id="forecast_get",
        parameters=[
            OpenApiParameter("measure", str, enum=MEASURES, description="cost unless given."),
            OpenApiParameter("team", str, description="Of this team alone, by slug; none is usage without a team."),
            OpenApiParameter("project", str, description="Of this project alone, by slug."),
            OpenApiParameter("model", str, description="Of this model alone, by name."),
        ],
        responses=answers(ForecastSerializer),
        examples=[OpenApiExample("Forecast", FORECAST, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        at, organization = now(), self.organization
        asked = asked_by_key(organization, request.query_params)
        kept = fresh(organization, [(asked.subject, asked.measure)], at)[asked.subject, asked.measure]
        may_see_money = self.grant.allows(Scope.BILLING_READ)
        reach = Reach.whole() if may_see_money else Reach(sees_all=False, sets_all=False)
        bounds = exhaustions(organization, asked.subject, at, reach=reach, with_credits=may_see_money)
        return Response(write_forecast(organization, asked, kept, bounds, at))


def write_forecast(
    organization: Organization, asked: Asked, kept: Kept, bounds: list[Exhaustion], at: dt.datetime
) -> dict[str, Any]:
    outlook, write = kept.outlook, _writer(asked.measure)
    ahead = None if outlook is None else Ahead.of(outlook, Elapsed.of(at, organization.zone))
    days = recent(organization, asked.subject, at)
    dates = [kept.first_day + dt.timedelta(days=n) for n in range(0 if outlook is None else len(outlook.days))]
    return {
        "scope": asked.subject.scope,
        "of": asked.key,
        "label": asked.label,
        "measure": asked.measure,
        "unit": _unit(asked.measure),
        "timezone": organization.timezone,
        "made_at": kept.made_at,
        "history": {"from": kept.history_from, "until_before": kept.first_day},
        "method": None if outlook is None else outlook.method,
        "basis": None if outlook is None else outlook.basis,
        "days": [
            {"date": date, **_band(band, write)}
            for date, band in zip(dates, outlook.days if outlook else (), strict=True)
        ],
        "totals": [
            {"until": date, **_band(band, write)}
            for date, band in zip(dates, outlook.totals if outlook else (), strict=True)
        ],
        "periods": [_period(one, write, kept) for one in endings(organization, asked.measure, days, ahead, at)],
        "exhaustion": [_exhaustion(one) for one in bounds],
        "measured": _measured(outlook.measured, kept.horizons) if outlook and outlook.measured else None,
    }


_Write = Callable[[int | None], str | int | None]


def _writer(measure: str) -> _Write:
    """Money as a decimal string, tokens as they are."""
    return usd_text if measure == ForecastMeasure.COST else lambda value: value


def _unit(measure: str) -> str:
    return "usd" if measure == ForecastMeasure.COST else "tokens"


def _band(band: Band | None, write: _Write) -> dict[str, Any]:
    if band is None:
        return {"low": None, "likely": None, "high": None}
    return {name: write(value) for name, value in msgspec.structs.asdict(band).items()}


def _period(one: Ending, write: _Write, kept: Kept) -> dict[str, Any]:
    return {
        "period": one.key,
        "starts_on": one.starts_on,
        "ends_on": one.ends_on,
        "so_far": write(one.so_far),
        **_band(one.band, write),
        "days_ahead": (number := (one.ends_on - kept.first_day).days),
        "measured": _horizon(number, kept.horizons[number - 1]) if number <= len(kept.horizons) else None,
    }


def _exhaustion(one: Exhaustion) -> dict[str, Any]:
    write = _writer(one.measure)
    return {
        "kind": one.kind,
        "budget": None if one.budget is None else one.budget.pk,
        "label": one.label,
        "unit": _unit(one.measure),
        "amount": write(one.amount),
        "used": write(one.used),
        "starts_on": one.starts_on,
        "ends_on": one.ends_on,
        "state": one.state.value,
        **msgspec.structs.asdict(one.runs_out),
    }


def _horizon(number: int, of: Horizon) -> dict[str, Any]:
    return {
        "days_ahead": number,
        "trials": of.trials,
        "day_hits": of.days,
        "naive_day_hits": of.naive_days,
        "total_hits": of.totals,
        "naive_total_hits": of.naive_totals,
        "total_error": of.error,
        "naive_total_error": of.naive_error,
    }


def _measured(measured: Measured, horizons: Sequence[Horizon]) -> dict[str, Any]:
    found = contests(measured)
    return {
        "origins": measured.origins,
        "days": msgspec.structs.asdict(measured.coverage),
        "totals": msgspec.structs.asdict(measured.total_coverage),
        "scale": measured.scale,
        "errors": [{"name": one.name, "forecast": one.own, "naive": one.naive} for one in found],
        "is_naive_better_in": [one.name for one in found if one.winner == "naive"],
        "horizons": [_horizon(number, one) for number, one in enumerate(horizons, 1)],
    }
