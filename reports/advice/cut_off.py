"""Answers cut off at their limit: paid, and not finished."""

from __future__ import annotations

from collections.abc import Sequence

from metering.query.answers import LEAST_CUT_OFF, UselessAnswer, cut_off_answers
from reports.advice.kind import Context, Estimate, Finding, Piece
from reports.advice.wasted import Place, Wasted, counted, kind_of_waste, saved_nanos
from reports.models import Effort


def _look(context: Context) -> list[UselessAnswer]:
    return cut_off_answers(context.organization_id, context.start, context.end)


def _piece(row: UselessAnswer) -> Piece:
    note = "only thought, no word of an answer" if row.is_other else "the answer counts as lost"
    return Piece(row.event_id, row.at, row.cost_nanos, row.cost_nanos - row.lost_nanos, note)


def _tell(place: Place, rows: Sequence[UselessAnswer], pieces: Sequence[Piece]) -> Finding:
    silent = [row for row in rows if row.is_other]
    one = len(rows) == 1
    text = (
        f"{counted(len(rows), 'answer')} ended where max_tokens had them end, in the middle of what was being said."
        if not one
        else "An answer ended where max_tokens had it end, in the middle of what was being said."
    )
    if silent:
        text += (
            f" {counted(len(silent), 'call')} had thought so long that not a word was left for an answer: all of"
            f" {'it' if len(silent) == 1 else 'them'} was paid for nothing."
        )
    return Finding(
        subject=place.subject,
        title=f"Let {counted(len(rows), 'answer')} in {place.label} come to their end"
        if not one
        else f"Let an answer in {place.label} come to its end",
        text=f"{text} Ask for shorter answers in the prompt, or allow longer ones: half an answer is paid in full, and"
        " asked for again.",
        pieces=pieces,
        effort=Effort.SMALL,
        terms=(
            ("Cut off is", "an answer whose finish reason is length, max_tokens or the like"),
            ("Left out", f"answers below {LEAST_CUT_OFF} tokens, which are meant to be short"),
            ("At least lost", "calls without a word of an answer"),
            ("Likely lost", "of the others, what the answer cost"),
            ("At most lost", "of the others, what the prompt cost as well"),
            ("Models", place.models),
        ),
        caveat="The beginning of an answer can be of use. Answers that come to their end cost their own tokens.",
        estimate=Estimate(
            sum(row.lost_nanos for row in silent), sum(map(saved_nanos, pieces)), sum(row.cost_nanos for row in rows)
        ),
    )


KIND = kind_of_waste(
    "cut_off",
    "Answers cut off",
    "dash-lg",
    "Answers that ended at max_tokens: paid in full, and half of use.",
    Wasted(_look, _piece, _tell),
)
