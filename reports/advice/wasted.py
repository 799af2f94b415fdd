"""Waste in calls, told project by project: who has to mend it is who works on the project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from core.figures import count
from metering.query.labels import GroupValue, name_refs
from metering.query.run import run
from reports.advice.kind import Context, Finding, Kind, Piece, Work

_SUBJECT = "project:"


class Row(Protocol):
    """A call as a query of waste has it; references are 0 for none."""

    @property
    def project(self) -> int: ...
    @property
    def model(self) -> int: ...


R = TypeVar("R", bound=Row)


class Place(msgspec.Struct, frozen=True):
    """A project and the models that most of its waste came with. `label` is what a sentence calls the project."""

    subject: str
    label: str
    models: str


class Wasted(msgspec.Struct, frozen=True):
    """What a kind of waste looks for: its rows in a context, what each of them is as evidence, and the words for all
    of a project's."""

    look: Callable[[Context], Sequence[Any]]
    piece: Callable[[Any], Piece]
    tell: Callable[[Place, Sequence[Any], Sequence[Piece]], Finding]

    def find(self, context: Context) -> Iterator[Finding]:
        by_project: dict[int, list[Any]] = {}
        for row in self.look(context):
            by_project.setdefault(row.project, []).append(row)
        models = {row.model for rows in by_project.values() for row in rows}
        names = name_refs(context.organization_id, {"project": by_project, "model": models})
        for project, rows in by_project.items():
            pieces = [self.piece(row) for row in rows]
            wasting = [row for row, piece in zip(rows, pieces, strict=True) if piece.now_nanos != piece.would_nanos]
            place = Place(
                f"{_SUBJECT}{project}", _label(names["project"][project]), _most(wasting or rows, names["model"])
            )
            finding = self.tell(place, rows, pieces)
            if finding.pieces:
                yield finding

    def work(self, context: Context, subject: str) -> Work:
        """All calls of the project, and what was wasted in them."""
        project = int(subject.removeprefix(_SUBJECT))
        pieces = [self.piece(row) for row in self.look(context) if row.project == project]
        calls = run(context.query(filters={"project": (project or None,)})).totals.requests
        return Work(calls, sum(map(saved_nanos, pieces)))


def kind_of_waste(name: str, label: str, icon: str, about: str, wasted: Wasted) -> Kind:
    return Kind(name, label, icon, about, wasted.find, wasted.work)


def saved_nanos(piece: Piece) -> int:
    """0 where no cost is at stake."""
    return 0 if piece.now_nanos is None or piece.would_nanos is None else piece.now_nanos - piece.would_nanos


def counted(number: int, noun: str, plural: str = "") -> str:
    """1 call, 2 calls."""
    return f"{count(number)} {noun if number == 1 else plural or f'{noun}s'}"


def _label(project: GroupValue) -> str:
    if not project.ref:
        return "calls without a project"
    return project.label or "a deleted project"


def _most(rows: Iterable[Row], names: dict[int, GroupValue]) -> str:
    """The three models with most of the rows, most first."""
    found = Counter(row.model for row in rows).most_common(3)
    return ", ".join(f"{names[model].label or 'unnamed'} ({count(calls)})" for model, calls in found)
