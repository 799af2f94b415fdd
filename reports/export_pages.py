"""/o/<organization>/export/: the files of the export menu, sent as they are written or prepared by a task."""

from __future__ import annotations

from typing import ClassVar

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from accounts.requests import OrganizationRequest
from accounts.views.pages import to
from metering.query.export import FORMATS
from metering.query.export_api import stream
from reports.custom import results
from reports.exporting import KINDS, Asked, asked_of, file_name, wanted
from reports.page import UsagePage, sees_usage


class ExportedPage(UsagePage, frozen=True, kw_only=True):
    """The range, filters and rights of whatever page the menu stands on."""

    url_name: ClassVar[str] = "reports:usage"
    title: ClassVar[str] = "Export"

    def asked(self, kind: str, file_format: str) -> Asked:
        """Raises Http404 for what no menu offers."""
        if kind not in KINDS or file_format not in KINDS[kind].formats:
            raise Http404("no such file")
        query = self.chosen.query(self.organization.pk)
        return asked_of(kind, file_format, query, with_keys="api_key" not in self.hidden)


@require_GET
@sees_usage
def export(request: OrganizationRequest, kind: str, file_format: str) -> HttpResponseBase:
    page = ExportedPage.of(request)
    asked = page.asked(kind, file_format)
    table = KINDS[kind].table(asked.query(page.organization.pk), asked.with_keys)
    return stream(request, table, FORMATS[file_format], file_name(request.organization.slug, asked))


@require_POST
@sees_usage
def prepare(request: OrganizationRequest, kind: str, file_format: str) -> HttpResponse:
    """Have it made by a task; the address says what, as that of a download does."""
    page = ExportedPage.of(request)
    asked = page.asked(kind, file_format)
    member = request.membership if "member" in page.fixed else None
    found = wanted(request.organization, asked, member, page.team if member is None else None)
    return redirect(to(request, "reports:result", results.ask(request.organization, found, request.membership).pk))
