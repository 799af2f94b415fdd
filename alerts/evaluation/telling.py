"""Alerts become facts, in the transaction that opens or ends them. What they say is in alerts/payloads.py."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, Literal

import msgspec
from django.urls import reverse

from accounts.models import Organization
from alerts import payloads
from alerts.conditions import condition
from alerts.conditions.units import hundredths
from alerts.evaluation.explaining import MOST_PARTS
from alerts.evaluation.wording import part_unit_of, sentence, unit_of
from alerts.models import Alert, AlertRule, RuleScope
from alerts.models.rules import TEXT_SCOPES
from alerts.rules.naming import name_of, name_subject
from billing.models import Wallet
from core import facts
from core.facts import Fact
from core.money import usd_text

# Kinds that only say that something began; what they are about says itself when it is over.
_WITHOUT_END = frozenset({"rate_limit.frequent", "credits.low", "usage.anomaly"})

State = Literal["firing", "resolved"]


def tell(organization: Organization, rule: AlertRule, alert: Alert, state: State, at: dt.datetime) -> None:
    """Counts what was told on the alert, which is not saved here. Needs the transaction that makes it true."""
    kind = condition(rule.condition).kind
    is_firing = state == "firing"
    if is_firing or (alert.is_told and kind not in _WITHOUT_END):
        alert.told += 1
        facts.tell(
            Fact(
                kind,
                organization.pk,
                key=f"alert:{alert.pk}:{alert.told}",
                data=msgspec.to_builtins(_DATA.get(kind, _threshold)(organization, rule, alert, state)),
                # What is of one model, feature or integration is a matter of the whole organization.
                scope=RuleScope.ORGANIZATION.value if alert.scope in TEXT_SCOPES else str(alert.scope),
                ref=alert.ref,
                happened_at=at,
            )
        )
    if is_firing:
        alert.told_at = at
    alert.is_told = is_firing


def _page(organization: Organization, alert: Alert) -> str:
    return reverse("alerts:alert", args=[organization.slug, alert.pk])


def _about(organization: Organization, rule: AlertRule) -> payloads.Scope:
    named = name_subject(organization, rule)
    scope: Any = str(rule.scope)
    return payloads.Scope(scope=scope, of=named.of, label=named.label if named.of else None)


def _threshold(organization: Organization, rule: AlertRule, alert: Alert, state: State) -> payloads.UsageThreshold:
    judged_by = condition(rule.condition)
    unit, value = judged_by.unit, alert.actual
    if judged_by.unit != judged_by.measured:
        # A threshold in percent, of figures in tokens.
        whole = alert.expected if rule.condition == "hourly_spike" else alert.bound * 100_00 // alert.threshold
        value = hundredths(alert.actual, whole or 1)
    return payloads.UsageThreshold(
        page=_page(organization, alert),
        state=state,
        rule=payloads.Rule(id=rule.pk, name=name_of(rule)),
        about=_about(organization, rule),
        metric=judged_by.metric,
        unit=unit.value,
        value=unit.amount(value),
        threshold=unit.amount(alert.threshold) or "0",
        window_start=alert.period_starts_at,
        window_end=alert.period_ends_at,
        summary=sentence(alert, organization.zone)
        if state == "firing"
        else f"Over: {sentence(alert, organization.zone)}",
        model=alert.about or None,
        counted_unit=judged_by.measured.value,
        actual=judged_by.measured.amount(alert.actual),
        expected=judged_by.measured.amount(alert.expected),
        drivers=_came_of(alert),
    )


# Of one dimension.
_MOST_TOLD = 3


def _came_of(alert: Alert) -> list[payloads.ThresholdDriver]:
    """The largest parts by each dimension. What has no name of its own explains nothing."""
    unit = part_unit_of(alert)
    return [
        payloads.ThresholdDriver(
            dimension=by["dimension"],
            label=part["label"],
            unit=unit.value,
            actual=unit.amount(part["actual"]) or "0",
            expected=unit.amount(part["expected"]),
        )
        for by in alert.explanation.get("by", [])
        for part in [part for part in by["parts"] if part["key"] is not None][:_MOST_TOLD]
    ]


def _refused(organization: Organization, rule: AlertRule, alert: Alert, _: State) -> payloads.RateLimitFrequent:
    return payloads.RateLimitFrequent(
        page=_page(organization, alert),
        about=_about(organization, rule),
        window_start=alert.period_starts_at,
        window_end=alert.period_ends_at,
        refused=alert.actual,
        # How many calls went through is not a figure of the same doors.
        requests=None,
        refused_percent=None,
        reasons=[payloads.RefusalReason(reason="rate_limit_exceeded", refused=alert.actual)],
        summary=sentence(alert, organization.zone),
    )


def _credits(organization: Organization, _rule: AlertRule, alert: Alert, _: State) -> payloads.CreditsLow:
    wallet = Wallet.objects.filter(organization=organization).first()
    top_up = None
    if wallet is not None and wallet.top_up_below_nanos is not None:
        below, amount = usd_text(wallet.top_up_below_nanos), usd_text(wallet.top_up_nanos)
        top_up = payloads.TopUpRule(below_usd=below or "0", amount_usd=amount or "0")
    return payloads.CreditsLow(
        page=_page(organization, alert),
        available_usd=usd_text(alert.actual) or "0",
        threshold_usd=usd_text(alert.threshold) or "0",
        auto_top_up=top_up,
    )


# How far out of the range it is, of which the edge is 1.
_CRITICAL, _WARNING = 3.0, 1.5
_METRICS = {"tokens": "total_tokens", "cost": "cost_usd", "requests": "requests", "errors": "errors"}


def _anomaly(organization: Organization, _rule: AlertRule, alert: Alert, _: State) -> payloads.UsageAnomaly:
    said, unit = alert.explanation, unit_of(alert)
    score = abs(said.get("score") or 0)
    scope: Any = str(alert.scope)
    drivers = [
        payloads.Driver(
            dimension=by["dimension"],
            label=part["label"],
            change=unit.amount(part["actual"] - (part["expected"] or 0)) or "0",
        )
        for by in said.get("by", [])
        for part in by["parts"]
    ]
    return payloads.UsageAnomaly(
        page=_page(organization, alert),
        about=payloads.Scope(scope=scope, of=alert.value or (str(alert.ref) if alert.ref else None), label=alert.label),
        metric=_METRICS[said["measure"]],
        unit=unit.value,
        direction="above" if alert.actual >= (alert.expected or 0) else "below",
        severity="critical" if score >= _CRITICAL else "warning" if score >= _WARNING else "info",
        window_start=alert.period_starts_at,
        window_end=alert.period_ends_at,
        actual=unit.amount(alert.actual) or "0",
        expected=unit.amount(alert.expected) or "0",
        expected_low=unit.amount(said.get("low")),
        expected_high=unit.amount(said.get("high")),
        drivers=sorted(drivers, key=lambda one: -abs(Decimal(one.change)))[:MOST_PARTS],
        summary=said["text"],
        finding=said["kind"],
    )


_DATA: dict[str, Any] = {"rate_limit.frequent": _refused, "credits.low": _credits, "usage.anomaly": _anomaly}
