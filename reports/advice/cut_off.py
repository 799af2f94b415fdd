"""Answers cut off at their limit: paid, and not finished.

Only those that were sent again afterwards would have been spared by more room. What the others cost is lost as far as
nobody has anything of half an answer, and no saving: longer answers cost more (docs/algorithms/advice.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from core import figures
from metering.query.alike import LEAST_CUT_OFF, WITHIN
from metering.query.answers import CutOffAnswer, cut_off_answers
from reports.advice.kind import Context, Finding, Piece
from reports.advice.wasted import Place, Wasted, counted, kind_of_waste
from reports.models import Effort


def _look(context: Context) -> list[CutOffAnswer]:
    return cut_off_answers(context.organization_id, context.start, context.end)


def _piece(row: CutOffAnswer) -> Piece:
    if row.is_sent_again:
        return Piece(row.event_id, row.at, row.cost_nanos, 0, "looks as if it was sent again right after")
    if row.is_silent:
        return Piece(row.event_id, row.at, row.cost_nanos, None, "only thought, no word of an answer")
    return Piece(row.event_id, row.at, row.cost_nanos, None, f"{figures.money(row.lost_nanos, 4)} for half an answer")


def _tell(place: Place, rows: Sequence[CutOffAnswer], pieces: Sequence[Piece]) -> Finding:
    again = [row for row in rows if row.is_sent_again]
    others = [row for row in rows if not row.is_sent_again]
    said = [f"{counted(len(rows), 'answer')} ended at max_tokens, in the middle of what was being said."]
    if again:
        said.append(_of_again(again))
    if others:
        said.append(_of_others(others))
    said.append("Ask for shorter answers in the prompt, or allow longer ones from the beginning.")
    return Finding(
        subject=place.subject,
        title=f"{counted(len(rows), 'answer')} in {place.label} {_were(rows)} cut off at max_tokens",
        text=" ".join(said),
        pieces=pieces,
        effort=Effort.SMALL,
        terms=(
            ("Cut off is", "an answer whose finish reason is length, max_tokens or the like"),
            ("Left out", f"answers below {LEAST_CUT_OFF} tokens, which are meant to be short"),
            (
                "Sent again is",
                f"what the same sender sent next in the chat, as large in all its parts, within {_minutes()} minutes",
            ),
            ("Saved is", "what calls cost that look sent again, and nothing of the others"),
            ("Lost is", "what an answer cost that was cut off, or all of a call without a word of one"),
            ("Models", place.models),
        ),
        caveat="Texts are not kept: whether a request was sent again is concluded from all that is kept of it. The"
        " beginning of an answer can be of use, and longer answers cost their own tokens.",
        stake_nanos=sum(row.lost_nanos for row in rows),
    )


def _of_again(rows: Sequence[CutOffAnswer]) -> str:
    one = len(rows) == 1
    cost = figures.money(sum(row.cost_nanos for row in rows))
    return (
        f"{counted(len(rows), 'request')} {'looks' if one else 'look'} as if {'it was' if one else 'they were'} sent"
        f" again right after: the first {'attempt' if one else 'attempts'} cost {cost}, which more room would have"
        " spared."
    )


def _of_others(rows: Sequence[CutOffAnswer]) -> str:
    lost = figures.money(sum(row.lost_nanos for row in rows))
    said = (
        f"{lost} went to {counted(len(rows), 'answer')} that nobody seems to have asked for again. That is lost as"
        " far as half an answer is of no use, but nothing that more room would save."
    )
    silent = sum(row.is_silent for row in rows)
    if silent:
        said += f" {counted(silent, 'call')} of them thought so long that not a word was left for an answer."
    return said


def _were(rows: Sequence[CutOffAnswer]) -> str:
    return "was" if len(rows) == 1 else "were"


def _minutes() -> str:
    return figures.count(int(WITHIN.total_seconds()) // 60)


KIND = kind_of_waste(
    "cut_off",
    "Answers cut off",
    "dash-lg",
    "Answers that ended at max_tokens: paid in full, and half of use.",
    Wasted(_look, _piece, _tell),
)
