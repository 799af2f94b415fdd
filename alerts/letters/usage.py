"""Usage that a rule or the detection noticed, calls that were refused, and a day's summary."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from accounts.models import Organization
from alerts.evaluation.wording import FINDINGS
from alerts.letters.letter import Letter, Tone, day, enough, hours, measured, percent, usd
from alerts.payloads import (
    BudgetStanding,
    DailySummary,
    RateLimitFrequent,
    Scope,
    ThresholdDriver,
    UsageAnomaly,
    UsageThreshold,
    WeeklySummary,
)
from core import figures

_SEVERITIES: dict[str, Tone] = {"info": "plain", "warning": "warning", "critical": "critical"}


def threshold(data: UsageThreshold, organization: Organization) -> Letter:
    name = data.rule.name if data.rule else "Allowance"
    whose = _about(data.about, organization)
    subject = f"{name}: {data.model} in {whose}" if data.model else f"{name}: {whose}"
    is_over = data.state == "resolved"
    return Letter(
        subject=f"Over again: {subject}" if is_over else f"{subject}, {_counted(data)}",
        lead=data.summary,
        path=data.page,
        table=enough(
            ("About", whose),
            ("Model", data.model),
            ("Measured", _counted(data)),
            ("Usual", measured(data.expected, data.counted_unit or data.unit) if data.expected else None),
            ("In percent", measured(data.value, data.unit) if _is_percent_of(data) else None),
            ("Threshold", measured(data.threshold, data.unit)),
            ("From", hours(data.window_start, data.window_end, organization.zone)),
            *((f"By {driver.dimension.replace('_', ' ')}", _part(driver)) for driver in data.drivers),
        ),
        action="See the usage",
        tone="ok" if is_over else "warning",
    )


def anomaly(data: UsageAnomaly, organization: Organization) -> Letter:
    usual = None
    if data.expected_low is not None and data.expected_high is not None:
        usual = f"{measured(data.expected_low, data.unit)} to {measured(data.expected_high, data.unit)}"
    whose = _about(data.about, organization)
    return Letter(
        subject=f"{_unusual(data, whose)}{measured(data.actual, data.unit)}",
        lead=data.summary,
        path=data.page,
        table=enough(
            ("About", whose),
            ("Measured", measured(data.actual, data.unit)),
            ("Expected", measured(data.expected, data.unit)),
            ("Usual", usual),
            ("From", hours(data.window_start, data.window_end, organization.zone)),
            *(
                (f"By {driver.dimension.replace('_', ' ')}", f"{driver.label}: {_change(driver.change, data.unit)}")
                for driver in data.drivers
            ),
        ),
        action="See the usage",
        tone=_SEVERITIES[data.severity],
        is_urgent=data.severity == "critical",
    )


def rate_limited(data: RateLimitFrequent, organization: Organization) -> Letter:
    whose = _about(data.about, organization)
    share = None if data.refused_percent is None else percent(data.refused_percent)
    return Letter(
        subject=f"Calls of {whose} are refused often",
        lead=data.summary,
        path=data.page,
        table=enough(
            ("About", whose),
            ("Refused", f"{figures.count(data.refused)} calls"),
            ("Of all calls", share),
            ("From", hours(data.window_start, data.window_end, organization.zone)),
            *((one.reason.replace("_", " ").capitalize(), figures.count(one.refused)) for one in data.reasons),
        ),
        action="See the limits",
        tone="warning",
    )


def daily_summary(data: DailySummary, organization: Organization) -> Letter:
    tokens = f"{figures.tokens(data.total_tokens)} tokens"
    unpriced = (
        f"{figures.tokens(data.unpriced_tokens)} tokens have no price and are not counted in the cost."
        if data.unpriced_tokens
        else ""
    )
    return Letter(
        subject=f"{day(data.day)}: {usd(data.cost_usd)} and {tokens}",
        lead=f"{organization.name} made {figures.count(data.requests)} requests: {tokens} for {usd(data.cost_usd)}.",
        path=data.page,
        table=enough(
            ("Cost", usd(data.cost_usd)),
            ("The day before", usd(data.cost_usd_before)),
            ("Requests", figures.count(data.requests)),
            ("Errors", figures.count(data.errors)),
            ("Prompt tokens", figures.tokens(data.prompt_tokens)),
            ("Completion tokens", figures.tokens(data.completion_tokens)),
            *((model.model or "Unknown model", usd(model.cost_usd)) for model in data.models),
            ("Other models", _rest(data.cost_usd, [model.cost_usd for model in data.models])),
        ),
        text=(unpriced,) if unpriced else (),
        action="See the day",
    )


def weekly_summary(data: WeeklySummary, organization: Organization) -> Letter:
    tokens = f"{figures.tokens(data.total_tokens)} tokens"
    unpriced = (
        f"{figures.tokens(data.unpriced_tokens)} tokens have no price and are not counted in the cost."
        if data.unpriced_tokens
        else ""
    )
    change = _difference(data.cost_usd, data.cost_usd_before)
    return Letter(
        subject=f"Week of {day(data.week_start)}: {usd(data.cost_usd)}{f', {change}' if change else ''}",
        lead=f"{organization.name} made {figures.count(data.requests)} requests from {day(data.week_start)} to"
        f" {day(data.week_end)}: {tokens} for {usd(data.cost_usd)}.",
        path=data.page,
        table=enough(
            ("Cost", usd(data.cost_usd)),
            ("Cost of the week before", usd(data.cost_usd_before)),
            ("Tokens", figures.tokens(data.total_tokens)),
            ("Tokens of the week before", figures.tokens(data.total_tokens_before)),
            ("Requests", figures.count(data.requests)),
            ("Errors", figures.count(data.errors)),
            *((f"Model {one.model or 'unknown'}", usd(one.cost_usd)) for one in data.models),
            ("Other models", _rest(data.cost_usd, [one.cost_usd for one in data.models])),
            *((f"Team {one.label or one.of or 'none'}", usd(one.cost_usd)) for one in data.teams),
            ("Other teams", _rest(data.cost_usd, [one.cost_usd for one in data.teams])),
            *((one.label or one.of or "Nobody by name", usd(one.cost_usd)) for one in data.members),
            ("Other people", _rest(data.cost_usd, [one.cost_usd for one in data.members])),
            *((f"Budget {_budget(one, organization)}", _standing(one)) for one in data.budgets),
        ),
        text=(unpriced,) if unpriced else (),
        action="See the week",
    )


def _rest(whole: str | None, told: Sequence[str | None]) -> str | None:
    """What is left of the cost that is known; None where the list has all of it, or there is none."""
    rest = Decimal(whole or 0) - sum(Decimal(cost or 0) for cost in told)
    return usd(str(rest)) if told and rest > 0 else None


def _budget(standing: BudgetStanding, organization: Organization) -> str:
    return standing.budget.name or f"of {_about(standing.about, organization)}"


def _standing(standing: BudgetStanding) -> str:
    passed = f"{percent(standing.used_percent)} used, {percent(standing.passed_percent)} of its period passed"
    return f"{passed}: exceeded" if standing.is_exceeded else passed


def _difference(now: str | None, before: str | None) -> str:
    """ "8.5% more", of what was before; nothing where that is unknown or nothing."""
    if now is None or before is None or not Decimal(before):
        return ""
    change = (Decimal(now) / Decimal(before) - 1) * 100
    return f"{percent(float(abs(change)))} {'more' if change > 0 else 'less'}" if change else "as the week before"


def _about(about: Scope, organization: Organization) -> str:
    return organization.name if about.scope == "organization" else about.label or about.of or "what was deleted"


def _is_percent_of(data: UsageThreshold) -> bool:
    """Whether the rule is about a percent of figures that it also tells."""
    return data.actual is not None and data.counted_unit not in (None, data.unit)


def _counted(data: UsageThreshold) -> str:
    if _is_percent_of(data):
        return measured(data.actual, data.counted_unit or data.unit)
    return measured(data.value, data.unit)


def _part(driver: ThresholdDriver) -> str:
    usual = "" if driver.expected is None else f" (usually {measured(driver.expected, driver.unit)})"
    return f"{driver.label}: {measured(driver.actual, driver.unit)}{usual}"


def _unusual(data: UsageAnomaly, whose: str) -> str:
    """What begins the subject, up to the figure."""
    if data.finding in FINDINGS:
        return f"{FINDINGS[data.finding]}: {whose}, "
    return f"Unusual usage of {whose}: "


def _change(amount: str, unit: str) -> str:
    sign = "+" if Decimal(amount) > 0 else ""
    return f"{sign}{measured(amount, unit)}"
