"""What an import says at its end: for people, for programs, and row by row as CSV."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from core.csvcells import csv_text
from core.figures import count, money
from core.money import usd_text
from metering.imports.mapping import ColumnMap
from metering.imports.recognize import Proposal
from metering.imports.tally import Part, RowProblem, Tally

PROBLEM_COLUMNS = ("row", "column", "field", "code", "message", "value")


def problem_cells(problem: RowProblem) -> tuple[int | str, ...]:
    texts = (problem.column, problem.field, problem.code, problem.message, problem.value)
    return problem.row, *(text or "" for text in texts)


class ProblemFile:
    """A journal that writes every problem to a CSV file, once its batch has got that far."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._file.write(csv_text([PROBLEM_COLUMNS]))

    def advance(self, rows_done: int, bytes_done: int, tally: Tally, problems: Sequence[RowProblem]) -> None:  # noqa: ARG002
        self._file.write(csv_text(problem_cells(problem) for problem in problems))
        self._file.flush()


class FirstProblems:
    """A journal that remembers the first few problems."""

    def __init__(self, most: int) -> None:
        self.problems: list[RowProblem] = []
        self._most = most

    def advance(self, rows_done: int, bytes_done: int, tally: Tally, problems: Sequence[RowProblem]) -> None:  # noqa: ARG002
        self.problems += problems[: max(0, self._most - len(self.problems))]


def plan_lines(proposal: Proposal, mapping: ColumnMap, columns: Iterable[str]) -> Iterator[str]:
    """What is about to be read as what."""
    if proposal.name:
        yield f"Recognized as: {proposal.name}"
    used = dict.fromkeys(column.partition(".")[0] for column, _ in mapping.columns)
    used.update(dict.fromkeys(column for column, _ in mapping.columns))
    width = max((len(column) for column, _ in mapping.columns), default=0)
    for column, field in mapping.columns:
        yield f"  {column:<{width}}  →  {field}"
    for field, text in mapping.constants:
        yield f"  {f'= {text}':<{width}}  →  {field}"
    for column, value in mapping.only:
        yield f"  only rows with {column} = {value}"
    unused = [column for column in columns if column not in used]
    if unused:
        yield f"Left out: {', '.join(unused)}"
    if mapping.start is not None:
        yield f"Numbers in the time column count seconds from {mapping.start.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}."
    yield f"Times without a zone are read as {mapping.zone_name}."
    if "id" not in mapping.fields:
        yield "Rows have no id: each gets one from its content, so that the same file again changes nothing."
    yield from proposal.notes


def problem_lines(problems: Sequence[RowProblem], total: int) -> Iterator[str]:
    for problem in problems:
        where = f" ({problem.where})" if problem.where else ""
        value = f" It is {problem.value!r}." if problem.value is not None else ""
        yield f"row {problem.row}{where}: {problem.message}{value}"
    if total > len(problems):
        yield f"… and {count(total - len(problems))} more. --errors FILE writes all of them."


def summary_lines(tally: Tally, *, is_dry_run: bool) -> Iterator[str]:
    created = "would create" if is_dry_run else "created"
    for words, number in (
        ("rows read", tally.rows),
        ("rows left out", tally.skipped),
        (created, tally.created),
        ("duplicates", tally.duplicates),
        ("conflicts", tally.conflicts),
        ("invalid", tally.invalid),
        ("refused by the database", tally.failed),
    ):
        if number or words in ("rows read", created, "duplicates", "conflicts", "invalid"):
            yield f"{words:<24}{count(number):>16}"
    if not tally.created:
        return
    if tally.first_at and tally.last_at:
        yield f"{'from':<24}{tally.first_at:%Y-%m-%d %H:%M:%S} UTC"
        yield f"{'to':<24}{tally.last_at:%Y-%m-%d %H:%M:%S} UTC"
    yield ""
    yield _line("", "requests", "prompt", "completion", "tokens", "cost")
    for state, part in tally.by_pricing.items():
        if part.requests:
            yield _part_line(state, part)
    yield _part_line("total", tally.total)
    yield ""
    for model, part in sorted(tally.by_model.items(), key=lambda item: (-item[1].total_tokens, item[0])):
        yield _part_line(model, part)
    if tally.unpriced_reasons:
        yield ""
        yield "Calls without a price, and why:"
    for reason, number in tally.unpriced_reasons.items():
        yield f"  {count(number)} calls: {reason}.{reason_hint(reason)}"


def reason_hint(reason: str) -> str:
    return " Name the provider: --set provider=…" if reason.startswith(("ambiguous", "no price for")) else ""


def _part_line(name: str, part: Part) -> str:
    figures = (part.requests, part.prompt_tokens, part.completion_tokens, part.total_tokens)
    return _line(name, *(count(figure) for figure in figures), money(part.cost_nanos))


def _line(name: str, *cells: str) -> str:
    return f"{name:<34}" + "".join(f"{cell:>16}" for cell in cells)


def as_json(tally: Tally) -> dict[str, Any]:
    return {
        "rows": tally.rows,
        "skipped": tally.skipped,
        "created": tally.created,
        "duplicates": tally.duplicates,
        "conflicts": tally.conflicts,
        "invalid": tally.invalid,
        "failed": tally.failed,
        "first_at": _instant(tally.first_at),
        "last_at": _instant(tally.last_at),
        "totals": _part_json(tally.total),
        "estimated_requests": tally.estimated_requests,
        "by_pricing": {state: _part_json(part) for state, part in tally.by_pricing.items()},
        "unpriced_reasons": tally.unpriced_reasons,
        "by_model": {model: _part_json(part) for model, part in tally.by_model.items()},
    }


def _part_json(part: Part) -> dict[str, Any]:
    return {
        "requests": part.requests,
        "prompt_tokens": part.prompt_tokens,
        "completion_tokens": part.completion_tokens,
        "total_tokens": part.total_tokens,
        "cost_usd": usd_text(part.cost_nanos),
    }


def _instant(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
