"""Empty and unused answers: paid calls that nobody has anything of."""

from __future__ import annotations

from collections.abc import Sequence

from metering.query.answers import UselessAnswer, empty_answers
from reports.advice.kind import Context, Finding, Piece
from reports.advice.wasted import Place, Wasted, counted, kind_of_waste
from reports.models import Effort


def _look(context: Context) -> list[UselessAnswer]:
    return empty_answers(context.organization_id, context.start, context.end)


def _piece(row: UselessAnswer) -> Piece:
    note = "stopped before its end" if row.is_stopped else "no answer"
    return Piece(row.event_id, row.at, row.cost_nanos, row.cost_nanos - row.lost_nanos, note)


def _tell(place: Place, rows: Sequence[UselessAnswer], pieces: Sequence[Piece]) -> Finding:
    stopped = sum(row.is_stopped for row in rows)
    empty = len(rows) - stopped
    said = []
    if empty:
        said.append(
            f"{counted(empty, 'call')} {'was' if empty == 1 else 'were'} paid and came back without a word: no text,"
            " no thought, no picture, no tool called. Look at what the prompts have in common: filters, an empty input,"
            " a stop sequence that comes first."
        )
    if stopped:
        said.append(
            f"{counted(stopped, 'answer')} {'was' if stopped == 1 else 'were'} stopped before the end, by a client that"
            " went away: paid as far as written. Ask later, or for less, where people leave before they have read."
        )
    return Finding(
        subject=place.subject,
        title=f"Mend {counted(len(rows), 'empty or unused answer')} in {place.label}",
        text=" ".join(said),
        pieces=pieces,
        effort=Effort.MEDIUM,
        terms=(
            ("Empty is", "a call that did not fail, of a model that answers, without any output"),
            ("Unused is", "a paid call with the status cancelled"),
            ("Target", "under 1% of calls empty"),
            ("Models", place.models),
        ),
        caveat="A few stay empty whatever is done, and part of what was stopped may have been read.",
    )


KIND = kind_of_waste(
    "empty_answers",
    "Empty or unused answers",
    "circle",
    "Paid calls that brought no answer, and answers that were stopped before their end.",
    Wasted(_look, _piece, _tell),
)
