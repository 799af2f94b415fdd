"""A report's schedules: set, changed, paused, deleted."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST

from accounts.forms.organization import refusals_in
from accounts.permissions import require
from accounts.requests import OrganizationRequest
from accounts.views.pages import confirm_page, to
from core.errors import ApiError
from reports.custom import scheduling
from reports.custom.definition import report_of
from reports.custom.making import FORMAT_NAMES
from reports.custom.pages import found
from reports.custom.schedule_rows import clock_of, first_times, weekday_of
from reports.custom.timing import LAST_DAY, WEEKDAYS, cron_of
from reports.models import Frequency, ReportSchedule
from reports.navigation import SEERS

sees_usage = require(*SEERS)

_DAYS = [*((str(day), f"Day {day}") for day in range(1, 29)), (str(LAST_DAY), "The last day")]


class ScheduleForm(forms.Form):
    frequency = forms.ChoiceField(label="How often", choices=Frequency.choices, initial=Frequency.WEEKLY)
    at = forms.TimeField(
        label="Time of day", initial=dt.time(8), required=False, widget=forms.TimeInput({"type": "time"}, "%H:%M")
    )
    weekday = forms.ChoiceField(label="Day of the week", choices=[(str(n), day) for n, day in enumerate(WEEKDAYS)])
    day = forms.ChoiceField(label="Day of the month", choices=_DAYS)
    expression = forms.CharField(
        label="Cron expression",
        required=False,
        max_length=100,
        help_text="Minute, hour, day of the month, month, day of the week: 30 7 * * MON-FRI.",
    )
    file_format = forms.ChoiceField(label="Format", choices=list(FORMAT_NAMES.items()))
    receivers = forms.MultipleChoiceField(
        label="Who receives it",
        widget=forms.CheckboxSelectMultiple,
        help_text="A link by e-mail and in the inbox, as each of them likes; small files are attached.",
    )

    # Which fields a frequency has.
    OF = {
        Frequency.DAILY: ("at",),
        Frequency.WEEKLY: ("weekday", "at"),
        Frequency.MONTHLY: ("day", "at"),
        Frequency.CRON: ("expression",),
    }

    def __init__(self, *args: Any, possible: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["receivers"].choices = possible  # type: ignore[attr-defined]
        given = self.data.get("frequency") if self.is_bound else self.initial.get("frequency", Frequency.WEEKLY)
        self.chosen = Frequency(given) if given in Frequency.values else Frequency.WEEKLY
        own = self.OF[self.chosen]
        for name in {"at", "weekday", "day", "expression"} - set(own):
            del self.fields[name]
        for name in own:
            self.fields[name].required = True

    def cron(self) -> str:
        """Raises ApiError 422."""
        values = self.cleaned_data
        return cron_of(
            self.chosen,
            values.get("at") or dt.time(),
            weekday=int(values.get("weekday") or 0),
            day=int(values.get("day") or 1),
            expression=values.get("expression") or "",
        )

    def values(self) -> dict[str, Any]:
        """Raises ApiError 422."""
        return {
            "frequency": self.chosen.value,
            "cron": self.cron(),
            "file_format": self.cleaned_data["file_format"],
            "receivers": sorted(map(int, self.cleaned_data["receivers"])),
        }


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def create(request: OrganizationRequest, report: int) -> HttpResponse:
    """Raises ApiError as `Report.definition`."""
    saved = found(request, report)
    # Who cannot run it cannot have it run.
    report_of(request.membership, saved.parameters, now()).definition()
    schedule = ReportSchedule(organization=request.organization, report=saved)
    initial = {"receivers": [str(request.membership.pk)], "file_format": "csv"}
    return _page(request, schedule, initial, "New schedule", "Start schedule")


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def change(request: OrganizationRequest, schedule: int) -> HttpResponse:
    """Whoever saves it becomes its owner, with whose rights it runs; a paused one goes on."""
    found_one = _changeable(request, schedule)
    cron = found_one.cron.split()
    initial: dict[str, Any] = {
        "frequency": found_one.frequency,
        "file_format": found_one.file_format,
        "receivers": list(map(str, found_one.receivers)),
        "expression": found_one.cron,
    }
    if found_one.frequency != Frequency.CRON:
        initial["at"] = clock_of(found_one.cron)
    if found_one.frequency == Frequency.WEEKLY:
        initial["weekday"] = str(weekday_of(found_one.cron))
    if found_one.frequency == Frequency.MONTHLY:
        initial["day"] = str(LAST_DAY) if cron[2] == "L" else cron[2]
    return _page(request, found_one, initial, "Change schedule", "Save schedule")


@require_POST
@sees_usage
def pause(request: OrganizationRequest, schedule: int) -> HttpResponse:
    found_one = _changeable(request, schedule)
    scheduling.pause(found_one, by=request.actor)
    messages.success(request, "The schedule is paused.")
    return redirect(to(request, "reports:report", found_one.report_id))


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def delete(request: OrganizationRequest, schedule: int) -> HttpResponse:
    found_one = _changeable(request, schedule)
    return confirm_page(
        request,
        "Delete this schedule?",
        f"{found_one.report.name} is not made by itself any more. Files that were made stay until they expire.",
        submit="Delete schedule",
        back=to(request, "reports:report", found_one.report_id),
        act=lambda: scheduling.delete(found_one, by=request.actor),
        done="The schedule is deleted.",
    )


# ── Parts ──


def _page(
    request: OrganizationRequest, schedule: ReportSchedule, initial: dict[str, Any], title: str, submit: str
) -> HttpResponse:
    """The form. Asked for by htmx it is the fields alone, those of the frequency that is chosen, and their times."""
    report = report_of(request.membership, schedule.report.parameters, now())
    possible = [(str(member.pk), str(member.user)) for member in scheduling.possible_receivers(report)]
    if request.htmx:
        initial |= _given(request)
    form = ScheduleForm(request.POST if request.method == "POST" else None, possible=possible, initial=initial)
    back = to(request, "reports:report", schedule.report_id)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            scheduling.set_schedule(schedule, request.membership, form.values(), by=request.actor)
            messages.success(request, f"{schedule.report.name} is made by itself from now on.")
            return redirect(back)
    context = {
        "page": {"title": title},
        "form": form,
        "submit": submit,
        "back": back,
        "report": schedule.report,
        "schedule": schedule,
        "whose": report.whose or "Everybody’s usage",
        **_times(request, form),
        "zone": request.organization.zone.key,
        "delete_url": to(request, "reports:schedule-delete", schedule.pk) if schedule.pk else None,
        "pause_url": to(request, "reports:schedule-pause", schedule.pk)
        if schedule.pk and schedule.paused_at is None
        else None,
    }
    if request.htmx:
        return render(request, "reports/_schedule_fields.html", context)
    return render(request, "reports/schedule.html", context, status=422 if form.errors else 200)


def _given(request: OrganizationRequest) -> dict[str, Any]:
    """What stands in the fields while somebody fills them in; what cannot be read is left as it was."""
    given: dict[str, Any] = {name: request.GET[name] for name in ScheduleForm.base_fields if request.GET.get(name)}
    given["receivers"] = request.GET.getlist("receivers")
    for name in ("weekday", "day"):
        if given.get(name) not in dict(ScheduleForm.base_fields[name].choices):  # type: ignore[attr-defined]
            given.pop(name, None)
    try:
        given["at"] = dt.time.fromisoformat(given.get("at", ""))
    except ValueError:
        given.pop("at", None)
    return given


def _times(request: OrganizationRequest, form: ScheduleForm) -> dict[str, Any]:
    """The next times of what stands in the fields, or why there are none."""
    zone = request.organization.zone
    if form.is_bound:
        form.is_valid()
    else:
        form.cleaned_data = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    try:
        return {"times": first_times(form.cron(), zone), "why_not": ""}
    except ApiError as error:
        has_given = form.chosen != Frequency.CRON or form.cleaned_data.get("expression")
        return {"times": [], "why_not": error.message if has_given else ""}


def _changeable(request: OrganizationRequest, pk: int) -> ReportSchedule:
    """Raises Http404."""
    schedule: ReportSchedule | None = scheduling.visible_schedules(request.membership).filter(pk=pk).first()
    if schedule is None or not scheduling.may_change(schedule, request.membership):
        raise Http404("no such schedule")
    return schedule
