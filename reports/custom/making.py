"""A report becomes a file: asked for at a time, made with the rights its asker has when it is made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec
from django.utils.text import slugify

from accounts.models import Membership
from core.periods import local_day
from core.tenancy import organization_scope
from metering.query.export import FORMATS
from reports.custom import paper, results
from reports.custom.course import Making
from reports.custom.definition import Report, kept_of, report_of
from reports.custom.results import UnmakeableError, Wanted
from reports.custom.table import ReportTable
from reports.models import CustomReport, ReportSchedule, Result

MAKER = "report"
PDF = "pdf"
PDF_TYPE = "application/pdf"
# Format → its name for people; everything but PDF is written by metering/query/export.py.
FORMAT_NAMES = {**{key: one.name for key, one in FORMATS.items()}, PDF: "PDF"}
UNNAMED = "Report"
LOST = "Whose usage this report holds is not its asker's to see any more. Ask for it again to have what you may see."


class Asked(msgspec.Struct, frozen=True):
    """What a result of a report is made of. `at` is the time its range is told from."""

    parameters: dict[str, list[str]]
    name: str
    file_format: str
    at: dt.datetime


def wanted(report: Report, name: str, file_format: str) -> Wanted:
    """Raises ApiError as `Report.definition`."""
    report.definition()
    kind, ref = report.scope
    span = report.chosen.range
    zone = report.chosen.zone
    first, last = local_day(span.start, zone), local_day(span.end - span.end.resolution, zone)
    words = slugify(name) or MAKER
    parameters = kept_of({key: list(values) for key, values in report.chosen.parameters.items()})
    return Wanted(
        maker=MAKER,
        title=f"{name}, {report.period}",
        file_name=f"{report.organization.slug}-{words}-{first}-{last}.{file_format}",
        content_type=PDF_TYPE if file_format == PDF else FORMATS[file_format].content_type,
        asked=msgspec.to_builtins(Asked(parameters, name, file_format, report.now)),
        of_member=report.membership if kind == "member" and ref else None,
        of_team=report.team,
        rights=report.rights,
    )


def ask_for(report: Report, file_format: str, saved: CustomReport | None = None) -> Result:
    """Have the report made for whom it shows. Raises ApiError 429 when one has too much under way."""
    name = saved.name if saved else UNNAMED
    result = results.queued(report.organization, wanted(report, name, file_format), report.membership)
    result.report = saved
    return results.enlist(result)


# ── As a maker (results.Maker) ──


def make(making: Making) -> Iterable[bytes]:
    asked = msgspec.convert(making.result.asked, Asked)
    with organization_scope(making.result.organization_id):
        report = _report(making.result, asked)
        definition = report.definition()
        printed = paper.context_of(report, definition, asked.name) if asked.file_format == PDF else None
    if printed is not None:
        making.advance(printed["rows"], printed["rows"])
        return [paper.laid_out(printed, making.advance)]
    return FORMATS[asked.file_format].write(ReportTable(definition, making.advance))


def ended(result: Result) -> None:
    """A schedule's receivers are told that theirs is ready."""
    if result.schedule_id is not None:
        from reports.custom.scheduling import tell

        tell(result, ReportSchedule.objects.select_related("report").get(pk=result.schedule_id))


def report_behind(result: Result, asker: Membership) -> Report:
    """What it was made of. Needs the organization's scope."""
    asked = msgspec.convert(result.asked, Asked)
    return report_of(asker, asked.parameters, asked.at)


def _report(result: Result, asked: Asked) -> Report:
    """Raises UnmakeableError when it would hold another one's usage than when it was asked for."""
    asker: Membership | None = (
        Membership.objects.select_related("organization", "user")
        .filter(pk=result.asked_by_id, ended_at=None, user__is_active=True)
        .first()
    )
    if asker is None:
        raise UnmakeableError(LOST)
    report = report_of(asker, asked.parameters, asked.at)
    if report.scope != scope_of(result):
        raise UnmakeableError(LOST)
    return report


def scope_of(result: Result) -> tuple[str, int]:
    """Whose usage it was asked for, as `Report.scope` has it."""
    if result.of_team_id is not None:
        return "team", result.of_team_id
    return ("member", result.of_member_id) if result.of_member_id is not None else ("organization", 0)
