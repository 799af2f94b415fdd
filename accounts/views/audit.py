"""/o/<organization>/settings/audit/"""

from __future__ import annotations

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.audit_log import Filter, changes_of, csv_lines, entries
from accounts.forms.keys import AuditFilterForm
from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from core.errors import ApiError
from core.pagination import paginate
from core.streaming import streamed


@require_safe
@require(Right.SEE_AUDIT)
def index(request: OrganizationRequest) -> HttpResponse:
    form = AuditFilterForm(request.GET or None)
    chosen, status = Filter(), 200
    try:
        chosen = Filter.from_params(request.GET, request.organization.zone)
        rows = paginate(entries(chosen), {**request.GET.dict(), "limit": "50"}, order=("-at", "-id"))
    except ApiError as error:
        form.add_error(error.param if error.param in form.fields else None, error.message)
        rows, status = paginate(entries(Filter()).none(), {}, order=("-at", "-id")), 422
    query = request.GET.copy()
    query.pop("cursor", None)
    query.pop("limit", None)
    following = query.copy()
    following["cursor"] = rows.next_cursor or ""
    context = {
        "page": {"title": "Audit log"},
        "form": form,
        "entries": [(entry, changes_of(entry)) for entry in rows.rows],
        "is_filtered": chosen != Filter(),
        "query": query.urlencode(),
        "next": following.urlencode() if rows.next_cursor else "",
    }
    return render(request, "accounts/audit.html", context, status=status)


@require_safe
@require(Right.SEE_AUDIT)
def export(request: OrganizationRequest) -> HttpResponse | StreamingHttpResponse:
    try:
        chosen = Filter.from_params(request.GET, request.organization.zone)
    except ApiError as error:
        return HttpResponse(f"{error.message}\n", status=error.status, content_type="text/plain; charset=utf-8")
    lines = csv_lines(request.organization.pk, chosen)
    response = StreamingHttpResponse(streamed(request, lines), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="audit-{request.organization.slug}.csv"'
    return response
