"""/o/<organization>/alerts/rules/: what is watched, and what a rule would have found."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max, Q
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms.organization import refusals_in
from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import confirm_page, to
from alerts.conditions import CONDITIONS, condition
from alerts.conditions.anomaly import Anomaly
from alerts.models import Alert, AlertRule, AlertState, Window
from alerts.rules import records
from alerts.rules.charts import preview_chart
from alerts.rules.forms import RuleForm, defaults_of
from alerts.rules.listing import alert_row, rule_row, subject_of
from alerts.rules.naming import minimum_words, name_of, name_subjects, terms
from alerts.rules.presets import PRESETS, missing
from alerts.rules.preview import DAYS, preview
from alerts.rules.reach import Reach
from core.errors import ApiError

PAGE = "alerts:rules"
LATEST = 10
sees_rules = require(Right.SEE_USAGE, Right.SEE_OWN_USAGE)


@require_safe
@sees_rules
def index(request: OrganizationRequest) -> HttpResponse:
    reach = Reach.of(request.membership)
    rules = records.open_rules(reach)
    named = name_subjects(request.organization, rules)
    fired = {
        row["rule"]: row
        for row in Alert.objects.filter(rule__in=rules)
        .values("rule")
        .annotate(last=Max("opened_at"), open=Count("id", filter=~Q(state=AlertState.RESOLVED)))
    }
    rows = []
    for rule in rules:
        of_rule = fired.get(rule.pk, {"last": None, "open": 0})
        rows.append(
            rule_row(rule, subject_of(rule, named), of_rule["last"], of_rule["open"], reach, request.organization.slug)
        )
    context = {
        "page": {"title": "Alert rules"},
        "rows": rows,
        "presets": _presets(rules) if reach.sets_all else [],
        "may_create": reach.sets_some,
        "sees_all": reach.sees_all,
    }
    return render(request, "alerts/rules.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@sees_rules
def create(request: OrganizationRequest) -> HttpResponse:
    """`?condition=` begins with its numbers."""
    reach = _setting(request)
    name = request.GET.get("condition", next(iter(CONDITIONS)))
    if name not in CONDITIONS:
        raise Http404
    form = RuleForm(request.POST or None, organization=request.organization, reach=reach, initial=defaults_of(name))
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            rule = records.create_rule(request.organization, form.values(), reach, by=request.actor)
            messages.success(request, "Rule added. It watches from now on.")
            return redirect(to(request, "alerts:rule", rule.pk))
    return _form_page(request, form, "New rule", "Add rule", to(request, PAGE))


@require_http_methods(["GET", "HEAD", "POST"])
@sees_rules
def change(request: OrganizationRequest, rule: int) -> HttpResponse:
    row, reach = _settable(request, rule)
    back = to(request, "alerts:rule", row.pk)
    form = RuleForm(request.POST or None, organization=request.organization, reach=reach, rule=row)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            records.change_rule(row, form.values(), reach, by=request.actor)
            messages.success(request, "Rule saved.")
            return redirect(back)
    return _form_page(request, form, f"Change {name_of(row)}", "Save rule", back)


@require_safe
@sees_rules
def show_preview(request: OrganizationRequest) -> HttpResponse:
    """The form as it stands, a part of its page: its fields for the condition, and what the rule would have found."""
    reach = _setting(request)
    given = request.GET.copy()
    name = given.get("condition", "")
    if name not in CONDITIONS:
        raise Http404
    if given.get("was", name) != name:
        # Another condition: its own numbers, for whom it was.
        of = given.get("of")
        given = given.copy()
        for field, value in defaults_of(name).items():
            given[field] = value
        if of:
            given["of"] = of
    form = RuleForm(given, organization=request.organization, reach=reach)
    context = {"form": form, **_preview_of_form(request, form, reach)}
    return render(request, "alerts/_rule_fields.html", context)


@require_safe
@require(Right.SEE_USAGE)
def show_unusual(request: OrganizationRequest) -> HttpResponse:
    """A part of the form and of a rule's page: what was unusual, which is the same for every rule that watches it."""
    rule = AlertRule(organization=request.organization, condition=Anomaly.name, window=Window.HOUR, threshold=0)
    return render(request, "alerts/_rule_preview.html", _previewed(request, rule))


@require_safe
@sees_rules
def detail(request: OrganizationRequest, rule: int) -> HttpResponse:
    row, reach = _rule(request, rule)
    organization = request.organization
    named = subject_of(row, name_subjects(organization, [row]))
    latest = list(Alert.objects.filter(rule=row).select_related("rule").order_by("-opened_at", "-id")[:LATEST])
    context = {
        "page": {"title": name_of(row)},
        "row": rule_row(row, named, None, 0, reach, organization.slug),
        "terms": terms(row),
        "minimum": minimum_words(row),
        "about": condition(row.condition).about,
        **_preview(request, row),
        "alerts": [alert_row(alert, organization, reach) for alert in latest],
        "fired": Alert.objects.filter(rule=row).count(),
    }
    return render(request, "alerts/rule.html", context)


@require_POST
@sees_rules
def add_preset(request: OrganizationRequest, name: str) -> HttpResponse:
    reach = Reach.of(request.membership)
    if name not in PRESETS:
        raise Http404
    rules = records.open_rules(reach)
    if name in missing(rules):
        records.create_rule(request.organization, PRESETS[name], reach, by=request.actor)
        messages.success(request, f"{condition(PRESETS[name]['condition']).title} is watched from now on.")
    return redirect(to(request, PAGE))


@require_POST
@sees_rules
def switch(request: OrganizationRequest, rule: int) -> HttpResponse:
    """Pause it, or let it go on."""
    row, reach = _settable(request, rule)
    records.change_rule(row, {"is_enabled": not row.is_enabled}, reach, by=request.actor)
    messages.success(request, "The rule watches again." if row.is_enabled else "Paused. What it had found is over.")
    return redirect(to(request, "alerts:rule", row.pk))


@require_http_methods(["GET", "HEAD", "POST"])
@sees_rules
def archive(request: OrganizationRequest, rule: int) -> HttpResponse:
    row, reach = _settable(request, rule)
    return confirm_page(
        request,
        f"Remove {name_of(row)}?",
        "It watches no more, and what it has open is over. Alerts it told stay in the list.",
        submit="Remove rule",
        back=to(request, PAGE),
        act=lambda: records.archive_rule(row, reach, by=request.actor),
        done="Rule removed.",
    )


def _form_page(request: OrganizationRequest, form: RuleForm, title: str, submit: str, back: str) -> HttpResponse:
    context = {
        "page": {"title": title},
        "form": form,
        "submit": submit,
        "back": back,
        **_preview_of_form(request, form, Reach.of(request.membership)),
    }
    return render(request, "alerts/rule_form.html", context, status=422 if form.errors else 200)


def _preview(request: OrganizationRequest, rule: AlertRule) -> dict[str, Any]:
    """What a rule would have found; where that takes a while, the address it comes from."""
    if condition(rule.condition).is_slow:
        return {"preview_url": to(request, "alerts:rule-unusual")}
    return _previewed(request, rule)


def _previewed(request: OrganizationRequest, rule: AlertRule) -> dict[str, Any]:
    found = preview(request.organization, rule, now())
    return {"count": len(found.firings), "days": DAYS, "chart": preview_chart(found, request.organization.zone)}


def _preview_of_form(request: OrganizationRequest, form: RuleForm, reach: Reach) -> dict[str, Any]:
    """What the form's rule would have found; why not, where it makes no sense yet."""
    organization = request.organization
    try:
        if form.is_bound:
            if not form.is_valid():
                return {"refusal": "Fill in the form to see when it would have fired."}
            values = form.values()
        else:
            of_form = RuleForm(_as_data(form), organization=organization, reach=reach)
            if not of_form.is_valid():
                return {"refusal": "Fill in the form to see when it would have fired."}
            values = of_form.values()
        rule = records.draft_rule(organization, values, reach)
    except ApiError as error:
        return {"refusal": error.message}
    except PermissionDenied:
        return {"refusal": "Choose whose usage it watches."}
    return _preview(request, rule)


def _as_data(form: RuleForm) -> dict[str, Any]:
    return {name: value for name in form.fields if (value := form[name].value()) not in (None, "")}


def _presets(rules: list[AlertRule]) -> list[dict[str, str]]:
    found = []
    for name in missing(rules):
        draft = AlertRule(**{"window": condition(PRESETS[name]["condition"]).windows[0].value, **PRESETS[name]})
        found.append({"name": name, "title": condition(draft.condition).title, "terms": terms(draft)})
    return found


def _setting(request: OrganizationRequest) -> Reach:
    reach = Reach.of(request.membership)
    if not reach.sets_some:
        raise PermissionDenied("Rules are set by owners, admins, finance and those who administer a team.")
    return reach


def _rule(request: OrganizationRequest, rule_id: int) -> tuple[AlertRule, Reach]:
    reach = Reach.of(request.membership)
    try:
        return records.find(rule_id, reach), reach
    except ApiError as error:
        raise Http404 from error


def _settable(request: OrganizationRequest, rule_id: int) -> tuple[AlertRule, Reach]:
    """A rule to change: 404 unless it may be seen, 403 unless it may be set."""
    row, reach = _rule(request, rule_id)
    if not reach.may_set(row):
        raise PermissionDenied("You may see this rule, not set it.")
    return row, reach
