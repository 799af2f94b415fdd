from __future__ import annotations

import datetime as dt
import json
import secrets
import sys
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from django.core.management.base import BaseCommand, CommandError
from django.utils.timezone import now

from accounts.audit import Actor
from accounts.models import Organization, Project
from core.tenancy import organization_scope, unscoped
from metering.imports.course import Sample, sample
from metering.imports.dry_run import Rehearsal
from metering.imports.mapping import ColumnMap, MappingError, check
from metering.imports.progress import Progress, ShownJournal
from metering.imports.reader import FORMATS, FileError, Reader
from metering.imports.recognize import Proposal, check_start, overrule, propose
from metering.imports.records import RecordJournal, audit_start, create_import
from metering.imports.report import FirstProblems, ProblemFile, as_json, plan_lines, problem_lines, summary_lines
from metering.imports.run import Importer, Journal, StoppedError
from metering.imports.tally import Tally
from metering.models import ImportStatus, UsageImport

ACTOR = Actor.of_command("import_usage")


class Command(BaseCommand):
    help = (
        "Import model calls from a CSV or JSONL file, .gz or not. Running it again changes nothing. "
        "Exits with 1 when rows were not stored."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization", metavar="ORG", help="its slug")
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--format", choices=FORMATS, help="told from the content unless given")
        parser.add_argument(
            "--map", nargs="+", action="extend", default=[], metavar="COLUMN=FIELD",
            help="what a column is, such as tokens_in=usage.prompt_tokens; COLUMN= leaves it out",
        )  # fmt: skip
        parser.add_argument(
            "--set", nargs="+", action="extend", default=[], metavar="FIELD=TEXT", dest="constants",
            help="what a field is where a row does not say, such as model=gpt-4o; {column} stands for a value",
        )  # fmt: skip
        parser.add_argument(
            "--where", nargs="+", action="extend", default=[], metavar="COLUMN=VALUE", help="only these rows"
        )
        parser.add_argument("--start", metavar="TIME", help="when times that count seconds from a start began")
        parser.add_argument("--timezone", metavar="TZ", default="UTC", help="of times without one (default: UTC)")
        parser.add_argument("--project", metavar="P", help="the slug of the project of rows that name none")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")
        parser.add_argument("--errors", metavar="FILE", type=Path, help="a CSV file for every row that was not stored")
        parser.add_argument("--show-errors", type=int, default=20, metavar="N", help="how many to print (default: 20)")
        parser.add_argument("--json", action="store_true", help="the result as JSON on standard output")

    def handle(self, **options: Any) -> None:
        organization = _organization(options["organization"], options["project"])
        path: Path = options["file"]
        try:
            with path.open("rb") as file:
                proposal, mapping, beginning = _mapping(file, options)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        except (FileError, MappingError) as error:
            raise CommandError(str(error)) from error
        if not options["json"]:
            for line in plan_lines(proposal, mapping, beginning.columns):
                self.stdout.write(line)
        tally = self._import(organization, path, proposal, mapping, beginning, options)
        if tally.problems:
            sys.exit(1)

    def _import(
        self,
        organization: Organization,
        path: Path,
        proposal: Proposal,
        mapping: ColumnMap,
        beginning: Sample,
        options: dict[str, Any],
    ) -> Tally:
        is_dry_run: bool = options["dry_run"]
        size = path.stat().st_size
        progress = Progress(sys.stderr, size)
        first = FirstProblems(options["show_errors"])
        received_at = now()
        with ExitStack() as stack:
            journals: list[Journal] = [first]
            if options["errors"]:
                journals.append(ProblemFile(stack.enter_context(options["errors"].open("w", newline=""))))
            record = None
            if not is_dry_run:
                record = _record(organization, path, size, proposal, mapping, beginning, options["project"] or "")
                journals.append(RecordJournal(record))
            importer = Importer(
                organization.pk,
                mapping,
                Rehearsal(organization.pk, received_at) if is_dry_run else None,
                project=options["project"],
                received_at=received_at,
            )
            file = stack.enter_context(path.open("rb"))
            problem = ""
            try:
                importer.run(Reader(file, options["format"]), ShownJournal(progress, *journals))
            except (FileError, StoppedError) as error:
                problem = str(error)
            except KeyboardInterrupt:
                problem = "Interrupted. What was stored stays; run the same import again to go on."
            finally:
                progress.clear()
                if record is not None:
                    _end(record, problem or ("The process ended." if sys.exc_info()[0] else ""))
        self._report(importer.tally, first, is_dry_run=is_dry_run, is_json=options["json"], problem=problem)
        return importer.tally

    def _report(self, tally: Tally, first: FirstProblems, *, is_dry_run: bool, is_json: bool, problem: str) -> None:
        if is_json:
            answer = {
                "dry_run": is_dry_run,
                **as_json(tally),
                "errors": [msgspec.to_builtins(p) for p in first.problems],
            }
            self.stdout.write(json.dumps({**answer, "problem": problem or None}))
        else:
            for line in problem_lines(first.problems, tally.problems):
                self.stderr.write(line)
            for line in summary_lines(tally, is_dry_run=is_dry_run):
                self.stdout.write(line)
        if problem:
            raise CommandError(problem)


def _organization(slug: str, project: str | None) -> Organization:
    with unscoped("a command names its organization"):
        organization: Organization | None = Organization.objects.filter(slug=slug).first()
    if organization is None:
        raise CommandError(f"There is no organization {slug}.")
    if project is not None:
        with organization_scope(organization.pk):
            if not Project.objects.filter(slug=project).exists():
                raise CommandError(f"There is no project {project}.")
    return organization


def _mapping(file: BinaryIO, options: dict[str, Any]) -> tuple[Proposal, ColumnMap, Sample]:
    beginning = sample(Reader(file, options["format"]))
    proposal = propose(beginning.columns, beginning.values)
    mapping = overrule(
        proposal.mapping,
        [_pair(text, "--map", from_right=True) for text in options["map"]],
        [_pair(text, "--set") for text in options["constants"]],
        [_pair(text, "--where") for text in options["where"]],
    )
    mapping = msgspec.structs.replace(mapping, start=_start(options["start"]), zone_name=options["timezone"])
    check(mapping, beginning.columns)
    try:
        check_start(mapping, beginning.values)
    except MappingError as error:
        raise CommandError(f"{error} The option is --start.") from error
    return proposal, mapping, beginning


def _pair(text: str, option: str, *, from_right: bool = False) -> tuple[str, str]:
    """A column's name may hold an equals sign, a field's may not."""
    left, sign, right = text.rpartition("=") if from_right else text.partition("=")
    if not sign or not left:
        raise CommandError(f"{option} takes NAME=…, not {text}.")
    return left, right


def _start(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--start takes a time such as 2026-11-01T00:00:00Z, not {text}.") from None
    if moment.tzinfo is None:
        raise CommandError("--start needs its offset: write 2026-11-01T00:00:00Z.")
    return moment


def _record(
    organization: Organization,
    path: Path,
    size: int,
    proposal: Proposal,
    mapping: ColumnMap,
    beginning: Sample,
    project: str,
) -> UsageImport:
    with organization_scope(organization.pk):
        record = create_import(
            organization,
            path.name,
            size,
            by=ACTOR,
            file_format=beginning.file_format,
            recognized_as=proposal.name,
            mapping=msgspec.to_builtins(mapping),
            project=project,
            status=ImportStatus.RUNNING,
            worker=secrets.token_hex(8),
            started_at=now(),
            advanced_at=now(),
        )
        audit_start(record, ACTOR)
    return record


def _end(record: UsageImport, problem: str) -> None:
    with organization_scope(record.organization_id):
        UsageImport.objects.filter(pk=record.pk).update(
            status=ImportStatus.FAILED if problem else ImportStatus.FINISHED, problem=problem, finished_at=now()
        )
