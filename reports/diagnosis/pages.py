"""/o/<organization>/diagnosis/: say what is wrong, and read what was found."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts.forms.fields import MemberField, RowField
from accounts.models import APIKey, Membership
from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import to
from core.days import DayField
from core.figures import share
from core.periods import day_start, local_day
from metering.dimensions import Kind
from metering.models import Label
from metering.tasks import enqueue
from reports import tasks
from reports.diagnosis.finding import State
from reports.diagnosis.link import LONGEST_DAYS, NARROWED_BY
from reports.diagnosis.run import PATIENCE, checks_of, findings_of
from reports.filters import dimension_label
from reports.models import Diagnosis, Symptom
from reports.navigation import SEERS

DEFAULT_DAYS = 7
MOST_LISTED = 20
MOST_MODELS = 500
# Under way at once, of one person: each reads a range's events.
MOST_AT_ONCE = 3

sees_usage = require(*SEERS)

HELP = {
    Symptom.MISSING: "calls were made and are not here",
    Symptom.COST: "a figure in money is not what you expected",
    Symptom.TOTALS: "teams do not sum to the whole, or to a file of yours",
}
_ORDER: tuple[State, ...] = ("cause", "failed", "told", "unjudged", "fine")


class KeyField(RowField):
    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.prefix}…)"


class DiagnosisForm(forms.Form):
    symptom = forms.ChoiceField(
        label="What is wrong?",
        choices=[(key, f"{key.label}: {HELP[key]}") for key in Symptom],
        initial=Symptom.MISSING,
        widget=forms.RadioSelect,
    )
    first_day = DayField(label="From")
    last_day = DayField(label="To", help_text="Both days are looked at.")
    model = forms.CharField(
        label="Only this model", required=False, max_length=200, widget=forms.TextInput({"list": "models"})
    )
    api_key = KeyField(APIKey.objects.none, label="Only this key", required=False, empty_label="Every key")
    member = MemberField(Membership.objects.none, label="Only this member", required=False, empty_label="Everybody")

    def __init__(self, *args: Any, request: OrganizationRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone = request.organization.zone
        today = local_day(now(), self.zone)
        self.fields["first_day"].initial = today - dt.timedelta(days=DEFAULT_DAYS - 1)
        self.fields["last_day"].initial = today
        own = {} if may(request.role, Right.SEE_USAGE) else {"member": request.membership}
        if may(request.role, Right.SEE_KEYS):
            self.fields["api_key"].queryset = APIKey.objects.filter(**own).order_by("name", "pk")  # type: ignore[attr-defined]
        else:
            del self.fields["api_key"]
        if own:
            del self.fields["member"]
        else:
            people = Membership.objects.select_related("user").order_by("user__name", "user__email")
            self.fields["member"].queryset = people  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        first, last = values.get("first_day"), values.get("last_day")
        if not self.errors and first and last and not first <= last < first + dt.timedelta(days=LONGEST_DAYS):
            self.add_error("last_day", f"The last day is not before the first, and at most {LONGEST_DAYS} days later.")
        return values

    @property
    def span(self) -> tuple[dt.datetime, dt.datetime]:
        first, last = self.cleaned_data["first_day"], self.cleaned_data["last_day"]
        return day_start(first, self.zone), day_start(last + dt.timedelta(days=1), self.zone)

    @property
    def filters(self) -> dict[str, list[Any]]:
        values = self.cleaned_data
        chosen = {
            "model": values.get("model"),
            "api_key": values["api_key"].prefix if values.get("api_key") else None,
            "member": values["member"].user.email if values.get("member") else None,
        }
        return {name: [value] for name, value in chosen.items() if value}


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def index(request: OrganizationRequest) -> HttpResponse:
    form = DiagnosisForm(request.POST or None, request=request, initial=_initial(request))
    if request.method == "POST" and form.is_valid():
        under_way = Diagnosis.objects.filter(
            asked_by=request.membership, finished_at=None, advanced_at__gt=now() - PATIENCE
        )
        if under_way.count() >= MOST_AT_ONCE:
            form.add_error(None, f"{MOST_AT_ONCE} of yours are under way. Wait until one of them is done.")
        else:
            diagnosis = _start(request, form)
            return redirect(to(request, "reports:diagnosis-report", diagnosis.pk))
    context = {
        "page": {"title": "Diagnosis"},
        "form": form,
        "models": Label.objects.filter(kind=Kind.MODEL).order_by("text").values_list("text", flat=True)[:MOST_MODELS]
        if may(request.role, Right.SEE_USAGE)
        else [],
        "rows": [_row(request, diagnosis) for diagnosis in _visible(request)[:MOST_LISTED]],
    }
    return render(request, "reports/diagnosis.html", context, status=422 if form.errors else 200)


@require_GET
@never_cache
@sees_usage
def report(request: OrganizationRequest, diagnosis: int) -> HttpResponse:
    found = _visible(request).filter(pk=diagnosis).first()
    if found is None:
        raise Http404("no such diagnosis")
    findings = sorted(findings_of(found), key=lambda finding: _ORDER.index(finding.state))
    checks = len(checks_of(found))
    states = Counter(finding.state for finding in findings)
    context = {
        "page": {"title": found.get_symptom_display()},
        "diagnosis": found,
        "row": _row(request, found),
        "findings": findings,
        "done": len(findings),
        "checks": checks,
        "progress": share(len(findings), checks),
        "is_stalled": found.finished_at is None and found.advanced_at < now() - PATIENCE,
        "causes": states["cause"],
        "told": states["told"],
        "failed": states["failed"],
        "unjudged": states["unjudged"],
        "again_url": _again_url(request, found),
    }
    template = "reports/_diagnosis_report.html" if request.htmx else "reports/diagnosis_report.html"
    return render(request, template, context)


def _start(request: OrganizationRequest, form: DiagnosisForm) -> Diagnosis:
    start, end = form.span
    is_own = not may(request.role, Right.SEE_USAGE)
    filters = form.filters | ({"member": [request.membership.pk]} if is_own else {})
    diagnosis: Diagnosis = Diagnosis.objects.create(
        organization=request.organization,
        asked_by=request.membership,
        is_own=is_own,
        symptom=form.cleaned_data["symptom"],
        starts_at=start,
        ends_at=end,
        filters=filters,
    )
    enqueue(tasks.diagnose, request.organization.pk, diagnosis.pk)
    return diagnosis


def _visible(request: OrganizationRequest) -> QuerySet[Diagnosis]:
    rows = Diagnosis.objects.select_related("asked_by__user").order_by("-created_at", "-pk")
    if may(request.role, Right.SEE_USAGE):
        return rows
    return rows.filter(asked_by=request.membership, is_own=True)


def _initial(request: OrganizationRequest) -> dict[str, Any]:
    """A link may fill the form in: `?symptom=cost&model=gpt-4o&first_day=2026-11-01`.

    Keys and members are named as filters name them; one that the person may not choose is not among the choices.
    """
    names = ("symptom", "first_day", "last_day", *NARROWED_BY)
    given: dict[str, Any] = {name: request.GET[name].replace("\0", "") for name in names if name in request.GET}
    if "api_key" in given:
        given["api_key"] = APIKey.objects.filter(prefix=given["api_key"]).first()
    if "member" in given:
        given["member"] = Membership.objects.filter(user__email=given["member"]).first()
    return given


def _row(request: OrganizationRequest, diagnosis: Diagnosis) -> dict[str, Any]:
    zone = request.organization.zone
    first, last = local_day(diagnosis.starts_at, zone), local_day(diagnosis.ends_at, zone) - dt.timedelta(days=1)
    filters = [
        f"{dimension_label(name)} {', '.join(map(str, values))}"
        for name, values in diagnosis.filters.items()
        if not (diagnosis.is_own and name == "member")
    ]
    causes = sum(finding["state"] == "cause" for finding in diagnosis.findings)
    return {
        "diagnosis": diagnosis,
        "url": to(request, "reports:diagnosis-report", diagnosis.pk),
        "first": first,
        "last": last,
        "filters": " · ".join(filters),
        "who": diagnosis.asked_by.user,
        "causes": causes,
    }


def _again_url(request: OrganizationRequest, diagnosis: Diagnosis) -> str:
    row = _row(request, diagnosis)
    asked = {"symptom": diagnosis.symptom, "first_day": row["first"], "last_day": row["last"]}
    for name in NARROWED_BY:
        if (values := diagnosis.filters.get(name)) and not (diagnosis.is_own and name == "member"):
            asked[name] = values[0]
    return f"{to(request, 'reports:diagnosis')}?{urlencode(asked)}"
