"""A file the demo organization has brought along: calls of before it was metered, two rows of which cannot be right."""

from __future__ import annotations

import csv
import datetime as dt
import io
import secrets

import msgspec
from django.utils.timezone import now as current_time

from accounts.models import Organization
from config.demo.organization import BY, history_days
from config.demo.usage import PEOPLE
from core.tenancy import organization_scope
from metering.imports.course import sample
from metering.imports.reader import Reader
from metering.imports.recognize import propose
from metering.imports.records import RecordJournal, audit_start, create_import
from metering.imports.run import Importer
from metering.models import ImportStatus, UsageImport

FILE_NAME = "calls-before-tokenledger.csv"
PROJECT = "doc-pipeline"
ROWS = 48
# A model left out, and a number that is none.
WRONG = {17: ("", "900"), 31: ("gpt-4o-mini", "n/a")}


def create(organization: Organization) -> None:
    now = current_time()
    content = _file(now)
    with organization_scope(organization.pk):
        beginning = sample(Reader(io.BytesIO(content), None))
        proposal = propose(beginning.columns, beginning.values)
        record = create_import(
            organization,
            FILE_NAME,
            len(content),
            by=BY,
            file_format=beginning.file_format,
            recognized_as=proposal.name,
            mapping=msgspec.to_builtins(proposal.mapping),
            project=PROJECT,
            status=ImportStatus.RUNNING,
            worker=secrets.token_hex(8),
            started_at=now,
            advanced_at=now,
        )
        audit_start(record, BY)
        importer = Importer(organization.pk, proposal.mapping, project=PROJECT, received_at=now)
        importer.run(Reader(io.BytesIO(content), beginning.file_format), RecordJournal(record))
        UsageImport.objects.filter(pk=record.pk).update(status=ImportStatus.FINISHED, finished_at=current_time())


def _file(now: dt.datetime) -> bytes:
    """One call an hour of the two days before the demo's history begins."""
    start = now.replace(minute=0, second=0, microsecond=0) - dt.timedelta(days=history_days(now), hours=ROWS)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["timestamp", "model", "prompt_tokens", "completion_tokens", "user"])
    for number in range(ROWS):
        model, prompt = WRONG.get(number, ("gpt-4o-mini", str(600 + 37 * number)))
        at = start + dt.timedelta(hours=number, minutes=number)
        writer.writerow([at.isoformat(), model, prompt, 90 + 11 * number, PEOPLE["david"]])
    return text.getvalue().encode()
