"""/o/<organization>/alerts/: what fired, and what is done about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import to
from alerts import acting
from alerts.conditions import CONDITIONS, all_conditions, condition
from alerts.conditions.reading import Span, interval_of
from alerts.evaluation.judging import judge
from alerts.evaluation.wording import sentence, share_text, title_of, unit_of
from alerts.models import Alert, AlertState, RuleScope, Window
from alerts.rules.charts import alert_chart
from alerts.rules.finding_chart import finding_chart
from alerts.rules.listing import alert_row, explorer_url, part_rows
from alerts.rules.naming import name_of, name_subject, terms
from alerts.rules.reach import Reach
from core.errors import ApiError
from core.pagination import paginate

sees_alerts = require(Right.SEE_USAGE, Right.SEE_OWN_USAGE)
PAGE_ROWS = 25
UNSETTLED = "unsettled"
_STATES = {UNSETTLED: "Not resolved", **{state.value: state.label for state in AlertState}, "all": "All"}
# Windows before and behind an alert's that its chart shows.
_AROUND = {Window.QUARTER: 24, Window.HOUR: 36, Window.DAY: 20}


@require_safe
@sees_alerts
def index(request: OrganizationRequest) -> HttpResponse:
    """`?state=&condition=&scope=` choose; those that are not resolved unless said otherwise."""
    reach = Reach.of(request.membership)
    chosen = {
        "state": _chosen(request, "state", _STATES, UNSETTLED),
        "condition": _chosen(request, "condition", CONDITIONS, ""),
        "scope": _chosen(request, "scope", RuleScope.values, ""),
    }
    rows = _filtered(reach.seen(Alert.objects.select_related("rule")), chosen)
    try:
        page = paginate(rows, {"limit": str(PAGE_ROWS), **_cursor(request)}, ("-opened_at", "-id"))
    except ApiError as error:
        raise Http404 from error
    titles = {one.name: one.title for one in all_conditions()}
    context = {
        "page": {"title": "Alerts"},
        "rows": [alert_row(alert, request.organization, reach) for alert in page.rows],
        "states": [_option(chosen, "state", key, label) for key, label in _STATES.items()],
        "state_label": _STATES[chosen["state"]],
        "conditions": _options(chosen, "condition", titles),
        "condition_label": titles.get(chosen["condition"], "all"),
        "scopes": _options(chosen, "scope", {scope.value: scope.label for scope in RuleScope}),
        "scope_label": RuleScope(chosen["scope"]).label if chosen["scope"] else "all",
        "is_filtered": bool(chosen["condition"] or chosen["scope"]) or chosen["state"] not in (UNSETTLED, "all"),
        "shows_open_alone": chosen["state"] == UNSETTLED,
        "next_url": page.next_cursor and f"?{urlencode(_given(chosen) | {'cursor': page.next_cursor})}",
        "first_url": f"?{urlencode(_given(chosen))}" if request.GET.get("cursor") else None,
        "may_create": reach.sets_some,
    }
    return render(request, "alerts/alerts.html", context)


@require_safe
@sees_alerts
def detail(request: OrganizationRequest, alert: int) -> HttpResponse:
    found, reach = _alert(request, alert)
    organization, at = request.organization, now()
    named = name_subject(organization, found.rule)
    measured = unit_of(found)
    context = {
        "page": {"title": title_of(found, name_of(found.rule))},
        "row": alert_row(found, organization, reach),
        "alert": found,
        "sentence": sentence(found, organization.zone),
        "terms": terms(found.rule),
        "actual": measured.text(found.actual),
        "bound": measured.text(found.bound),
        "expected": measured.text(found.expected) if found.expected is not None else None,
        "share": share_text(found),
        "about": condition(found.condition).about,
        "explanation": part_rows(found, organization, named.of),
        "explorer_url": explorer_url(organization, found, named.of) if _has_usage(found) else None,
        "basis": found.explanation.get("basis", ""),
        "range": _range(found),
        "chart": _chart(request, found, at),
        "acts": list(found.acts.all()),
        "tomorrow": acting.tomorrow_morning(organization, at),
        "may_set_rule": reach.may_set(found.rule) and found.rule.archived_at is None,
    }
    return render(request, "alerts/alert.html", context)


@require_POST
@sees_alerts
def acknowledge(request: OrganizationRequest, alert: int) -> HttpResponse:
    return _settle(
        request, alert, lambda found, reach: acting.acknowledge(found, reach, by=request.actor), "Acknowledged."
    )


@require_POST
@sees_alerts
def snooze(request: OrganizationRequest, alert: int) -> HttpResponse:
    at = now()
    until = {
        "hour": at + dt.timedelta(hours=1),
        "day": at + dt.timedelta(days=1),
        "morning": acting.tomorrow_morning(request.organization, at),
    }.get(request.POST.get("for", ""))
    if until is None:
        raise Http404
    words = until.astimezone(request.organization.zone)
    done = f"Snoozed until {words:%H:%M} on {words:%A}."
    return _settle(
        request, alert, lambda found, reach: acting.snooze(found, until, reach, by=request.actor, at=at), done
    )


@require_POST
@sees_alerts
def resolve(request: OrganizationRequest, alert: int) -> HttpResponse:
    return _settle(request, alert, lambda found, reach: acting.resolve(found, reach, by=request.actor), "Resolved.")


def _settle(request: OrganizationRequest, alert: int, act: Callable[[Alert, Reach], Any], done: str) -> HttpResponse:
    found, reach = _alert(request, alert)
    try:
        act(found, reach)
    except ApiError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, done)
    is_listed = request.POST.get("back") == "list"
    return redirect(to(request, "alerts:alerts") if is_listed else to(request, "alerts:alert", alert))


def _alert(request: OrganizationRequest, alert_id: int) -> tuple[Alert, Reach]:
    reach = Reach.of(request.membership)
    try:
        return acting.find(alert_id, reach), reach
    except ApiError as error:
        raise Http404 from error


def _range(alert: Alert) -> str | None:
    """What would have been usual of a finding."""
    low, high = alert.explanation.get("low"), alert.explanation.get("high")
    return None if low is None or high is None else f"{unit_of(alert).text(low)} to {unit_of(alert).text(high)}"


def _has_usage(alert: Alert) -> bool:
    return alert.peak_ends_at > alert.peak_starts_at and alert.condition != "rate_limited"


def _chart(request: OrganizationRequest, alert: Alert, at: dt.datetime) -> dict[str, Any] | None:
    """What the rule measures around the alert, read as the evaluator reads it; None where it has no such figure."""
    if alert.condition == "anomaly":
        return finding_chart(request.organization, alert, at)
    rule = alert.rule
    # As it was when it fired: the rule may be another one by now.
    rule.condition, rule.window, rule.threshold = alert.condition, alert.window, alert.threshold
    zone = request.organization.zone
    if alert.window in _AROUND:
        interval = interval_of(alert.window)
        length = {"15m": dt.timedelta(minutes=15), "hour": dt.timedelta(hours=1), "day": dt.timedelta(days=1)}[interval]
        span = Span(
            alert.period_starts_at - length * _AROUND[Window(alert.window)],
            min(at, max(alert.held_until, alert.period_ends_at) + length * (_AROUND[Window(alert.window)] // 3)),
        )
    elif alert.window == Window.MOMENT:
        span = Span(alert.period_starts_at - dt.timedelta(days=30), min(at, alert.held_until + dt.timedelta(days=3)))
    else:
        span = Span(alert.period_starts_at, min(at, alert.period_ends_at))
    judged = judge(request.organization, {0: span}, [rule], max(span.end, span.start), is_live=False)[0]
    return alert_chart(alert, rule, [reading for reading, _ in judged.get(alert.about, ())], zone)


def _filtered(rows: QuerySet[Alert], chosen: dict[str, str]) -> QuerySet[Alert]:
    if chosen["state"] == UNSETTLED:
        rows = rows.exclude(state=AlertState.RESOLVED)
    elif chosen["state"] != "all":
        rows = rows.filter(state=chosen["state"])
    return rows.filter(**{name: chosen[name] for name in ("condition", "scope") if chosen[name]})


def _chosen(request: OrganizationRequest, name: str, known: Any, default: str) -> str:
    given = request.GET.get(name, default)
    if given != default and given not in known:
        raise Http404
    return given


def _cursor(request: OrganizationRequest) -> dict[str, str]:
    return {"cursor": request.GET["cursor"]} if request.GET.get("cursor") else {}


def _given(chosen: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in chosen.items() if value}


def _option(chosen: dict[str, str], name: str, value: str, label: str) -> dict[str, Any]:
    return {"label": label, "url": f"?{urlencode(_given(chosen | {name: value}))}", "is_current": chosen[name] == value}


def _options(chosen: dict[str, str], name: str, known: dict[str, str]) -> list[dict[str, Any]]:
    return [_option(chosen, name, "", "All"), *(_option(chosen, name, value, label) for value, label in known.items())]
