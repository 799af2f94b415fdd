"""/o/<organization>/settings/import/: a file is uploaded, checked and imported; what became of earlier ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from accounts.models import Project
from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from core.csvcells import csv_text
from core.figures import share
from core.pagination import paginate
from core.tenancy import organization_scope
from metering import tasks
from metering.forms import MappingForm, UploadForm
from metering.imports.course import PATIENCE, Sample, reader_of, sample
from metering.imports.fields import FIELDS
from metering.imports.reader import FileError, Reader
from metering.imports.recognize import propose
from metering.imports.records import audit_start, create_import, keep_file, mapping_of, tally_of
from metering.imports.report import PROBLEM_COLUMNS
from metering.models import ImportChunk, ImportProblem, ImportStatus, UsageImport

TITLE = "Import usage"
SHOWN_PROBLEMS = 20
SHOWN_ROWS = 5
PAGE_SIZE = 20
SUGGESTED_FIELDS = (
    *FIELDS,
    "usage.prompt_tokens",
    "usage.completion_tokens",
    "usage.total_tokens",
    "usage.prompt_tokens_details.cached_tokens",
    "usage.completion_tokens_details.reasoning_tokens",
    "usage.input",
    "usage.cache_read",
    "usage.cache_write_5m",
    "usage.output",
    "usage.reasoning",
    "tags.",
)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.IMPORT_USAGE)
def index(request: OrganizationRequest) -> HttpResponse:
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            record = _keep_upload(request, form.cleaned_data["file"])
        except FileError as error:
            form.add_error("file", str(error))
        else:
            return _to(request, record)
    page = paginate(UsageImport.objects.all(), {**request.GET.dict(), "limit": str(PAGE_SIZE)}, ("-created_at", "-id"))
    context = {
        "page": {"title": TITLE},
        "form": form,
        "imports": [(record, tally_of(record.tally) if record.tally else None) for record in page.rows],
        "next_cursor": page.next_cursor,
    }
    return render(request, "metering/imports.html", context, status=422 if form.errors else 200)


def _keep_upload(request: OrganizationRequest, file: UploadedFile[Any]) -> UsageImport:
    """Look into the file before anything of it is kept. Raises FileError."""
    reader = Reader(file.file)  # type: ignore[arg-type]
    beginning = sample(reader)
    proposal = propose(beginning.columns, beginning.values)
    file.seek(0)
    with transaction.atomic():
        record = create_import(
            request.organization,
            file.name or "file",
            file.size or 0,
            by=request.actor,
            file_format=beginning.file_format,
            recognized_as=proposal.name,
            mapping=msgspec.to_builtins(proposal.mapping),
        )
        keep_file(record, file.chunks())
    return record


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.IMPORT_USAGE)
def detail(request: OrganizationRequest, record: int) -> HttpResponse:
    """One import. POST takes the mapping and starts the check."""
    row = _find(record)
    is_kept = ImportChunk.objects.filter(usage_import=row).exists()
    is_editing = is_kept and not row.is_under_way and (row.status == ImportStatus.UPLOADED or "edit" in request.GET)
    context = {
        "page": {"title": row.file_name},
        "record": row,
        "is_kept": is_kept,
        "is_editing": is_editing,
        "is_stalled": row.is_under_way and row.advanced_at is not None and row.advanced_at < now() - PATIENCE,
        "progress": share(row.bytes_done, row.size_bytes),
        "mapping": mapping_of(row),
        "notes": _notes(row),
    }
    status = 200
    if request.method == "POST" or is_editing:
        if not is_kept or row.is_under_way:
            raise Http404("nothing to map here")
        beginning = sample(reader_of(row))
        form = MappingForm(request.POST or None, beginning, mapping_of(row), row.project)
        if request.method == "POST" and form.is_valid():
            _start_check(row, form)
            return _to(request, row)
        status = 422 if form.errors else 200
        context |= {"form": form, "is_editing": True, "fields": SUGGESTED_FIELDS, **_preview(beginning)}
    problems = ImportProblem.objects.filter(usage_import=row).order_by("row", "id")
    outcome = row.tally if row.status in (ImportStatus.FINISHED, ImportStatus.FAILED) and row.tally else row.forecast
    tally = tally_of(outcome) if outcome else None
    context |= {
        "tally": tally,
        "models": sorted(tally.by_model.items(), key=lambda item: (-item[1].total_tokens, item[0])) if tally else [],
        "states": [(state, part) for state, part in tally.by_pricing.items() if part.requests] if tally else [],
        "is_forecast": row.status == ImportStatus.CHECKED,
        "problems": list(problems[:SHOWN_PROBLEMS]),
    }
    return render(request, "metering/import.html", context, status=status)


def _notes(row: UsageImport) -> tuple[str, ...]:
    return propose([column for column, _ in mapping_of(row).columns]).notes if row.recognized_as else ()


def _preview(beginning: Sample) -> dict[str, object]:
    return {
        "columns": beginning.columns,
        "rows": [
            (row.number, [row.values.get(column, "") for column in beginning.columns], row.problem)
            for row in beginning.rows[:SHOWN_ROWS]
        ],
    }


def _start_check(row: UsageImport, form: MappingForm) -> None:
    project: Project | None = form.cleaned_data["project"]
    row.mapping = msgspec.to_builtins(form.cleaned_data["mapping"])
    row.project = project.slug if project else ""
    row.status = ImportStatus.CHECKING
    row.problem = ""
    row.advanced_at = now()
    row.bytes_done = 0
    row.save(update_fields=["mapping", "project", "status", "problem", "advanced_at", "bytes_done"])
    tasks.enqueue(tasks.check_import, row.organization_id, row.pk)


@require_POST
@require(Right.IMPORT_USAGE)
def start(request: OrganizationRequest, record: int) -> HttpResponse:
    """Import what was checked, or go on with what failed on the way."""
    row: UsageImport = get_object_or_404(UsageImport.objects.select_for_update(), pk=record)
    if row.status not in (ImportStatus.CHECKED, ImportStatus.FAILED) or not row.chunks.exists():
        messages.error(request, "This import cannot be started now.")
        return _to(request, row)
    if row.status == ImportStatus.CHECKED:
        # The dry run's course and findings make room for the real ones.
        ImportProblem.objects.filter(usage_import=row).delete()
        row.rows_done = row.bytes_done = 0
        audit_start(row, request.actor)
    row.status = ImportStatus.RUNNING
    row.problem = ""
    row.advanced_at = now()
    row.save(update_fields=["status", "problem", "advanced_at", "rows_done", "bytes_done"])
    tasks.enqueue(tasks.run_import, row.organization_id, row.pk)
    return _to(request, row)


@require_safe
@require(Right.IMPORT_USAGE)
def progress(request: OrganizationRequest, record: int) -> HttpResponse:
    """The bar, asked for every second; the whole page once there is something else to see."""
    row = _find(record)
    if not row.is_under_way:
        return HttpResponseClientRefresh()
    outcome = row.forecast if row.status == ImportStatus.CHECKING else row.tally
    context = {
        "record": row,
        "progress": share(row.bytes_done, row.size_bytes),
        "tally": tally_of(outcome) if outcome else None,
        "is_stalled": row.advanced_at is not None and row.advanced_at < now() - PATIENCE,
    }
    return render(request, "metering/_import_progress.html", context)


@require_safe
@require(Right.IMPORT_USAGE)
def problems(_request: OrganizationRequest, record: int) -> StreamingHttpResponse:
    """Every kept problem as CSV, safe to open in a spreadsheet."""
    row = _find(record)
    response = StreamingHttpResponse(_problem_lines(row), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="import-{row.pk}-errors.csv"'
    return response


def _problem_lines(row: UsageImport) -> Iterator[str]:
    """Read after the page's scope has closed, so it opens its own."""
    yield csv_text([PROBLEM_COLUMNS])
    with organization_scope(row.organization_id):
        rows = ImportProblem.objects.filter(usage_import=row).order_by("row", "id")
        for cells in rows.values_list(*PROBLEM_COLUMNS).iterator(chunk_size=1_000):
            yield csv_text([cells])


@require_POST
@require(Right.IMPORT_USAGE)
def discard(request: OrganizationRequest, record: int) -> HttpResponseRedirect:
    """Forget an upload that was not imported."""
    row: UsageImport = get_object_or_404(UsageImport.objects.select_for_update(), pk=record)
    if row.tally or row.status in (ImportStatus.RUNNING, ImportStatus.FINISHED):
        messages.error(request, "Rows of this file are stored. Its import stays in the history.")
        return _to(request, row)
    row.delete()
    messages.success(request, f"{row.file_name} discarded.")
    return redirect(reverse("metering:imports", args=[request.organization.slug]))


def _find(record: int) -> UsageImport:
    found: UsageImport = get_object_or_404(UsageImport, pk=record)
    return found


def _to(request: OrganizationRequest, record: UsageImport) -> HttpResponseRedirect:
    return redirect(reverse("metering:import", args=[request.organization.slug, record.pk]))
