"""Usage that a rule or the detection noticed, calls that were refused, and a day's summary."""

from __future__ import annotations

from decimal import Decimal

from accounts.models import Organization
from alerts.letters.letter import Letter, Tone, day, enough, hours, measured, percent, usd
from alerts.payloads import DailySummary, RateLimitFrequent, Scope, UsageAnomaly, UsageThreshold
from core import figures

_SEVERITIES: dict[str, Tone] = {"info": "plain", "warning": "warning", "critical": "critical"}


def threshold(data: UsageThreshold, organization: Organization) -> Letter:
    name = data.rule.name if data.rule else "Allowance"
    is_over = data.state == "resolved"
    return Letter(
        subject=f"Over again: {name}" if is_over else f"{name}: {measured(data.value, data.unit)}",
        lead=data.summary,
        path=data.page,
        table=enough(
            ("About", _about(data.about, organization)),
            ("Measured", measured(data.value, data.unit)),
            ("Threshold", measured(data.threshold, data.unit)),
            ("From", hours(data.window_start, data.window_end, organization.zone)),
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
        subject=f"Unusual usage of {whose}: {measured(data.actual, data.unit)}",
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
        ),
        text=(unpriced,) if unpriced else (),
        action="See the day",
    )


def _about(about: Scope, organization: Organization) -> str:
    return organization.name if about.scope == "organization" else about.label or about.of or "what was deleted"


def _change(amount: str, unit: str) -> str:
    sign = "+" if Decimal(amount) > 0 else ""
    return f"{sign}{measured(amount, unit)}"
