"""Retry loops: one request sent again and again in short succession, paid each time, or failing each time."""

from __future__ import annotations

from collections.abc import Sequence

from core.figures import count, duration
from metering.query.alike import LEAST_PROMPT
from metering.query.repeats import LOOP_CALLS, LOOP_FAILURES, Repeat, failed_repeats, paid_repeats
from reports.advice.kind import Context, Finding, Piece
from reports.advice.wasted import Place, Wasted, counted, kind_of_waste
from reports.models import Effort


def _look(context: Context) -> list[Repeat]:
    paid = paid_repeats(context.organization_id, context.start, context.end)
    failed = failed_repeats(context.organization_id, context.start, context.end)
    return [row for row in paid if row.is_loop] + failed


def piece_of_repeat(row: Repeat) -> Piece:
    """A call that need not have been made; of one that failed at no cost there is none to save."""
    place = f"call {count(row.number)} of {count(row.calls)}"
    if row.cost_nanos is None:
        return Piece(row.event_id, row.at, None, None, f"{place}, failed")
    gap = "" if row.gap is None else f", {duration(round(row.gap * 1000))} after the one before"
    return Piece(row.event_id, row.at, row.cost_nanos, 0, f"{place}{gap}")


def _tell(place: Place, rows: Sequence[Repeat], pieces: Sequence[Piece]) -> Finding:
    paid = [row for row in rows if row.cost_nanos is not None]
    failed = [row for row in rows if row.cost_nanos is None]
    said = []
    if paid:
        loops, longest = len({row.run for row in paid}), max(row.calls for row in paid)
        said.append(
            f"{counted(loops, 'loop')} {'seems' if loops == 1 else 'seem'} to have sent a request once more that had"
            f" just been answered, the longest {count(longest)} times in a row: {counted(len(paid), 'paid call')} that"
            " likely brought nothing new."
        )
    if failed:
        said.append(
            f"{counted(len(failed), 'call')} failed like the one before, {LOOP_FAILURES} times in a row and more. That"
            " cost nothing, but takes room in request rates, and whoever waits for an answer has none."
        )
    said.append("Retry with growing pauses and a last attempt, and only what another attempt can mend.")
    is_one = len({(row.cost_nanos is None, row.run) for row in rows}) == 1
    subject = "looks like a retry loop" if is_one else "look like retry loops"
    return Finding(
        subject=place.subject,
        title=f"Stop what {subject} in {place.label}",
        text=" ".join(said),
        pieces=pieces,
        effort=Effort.MEDIUM,
        terms=(
            ("A loop is", f"{LOOP_CALLS} like calls in a row, a minute apart on average or less"),
            ("Of failures", f"{LOOP_FAILURES} in a row, none more than a minute after the other"),
            ("Alike are", "sender, chat, message, feature, model, tags, size of the prompt and of its parts"),
            ("Shortest prompt", f"{LEAST_PROMPT} tokens"),
            ("Counted is", "all but the first call of each loop"),
            ("Models", place.models),
        ),
        caveat="Texts are not kept: that two requests asked the same is concluded from all that is kept of them.",
    )


KIND = kind_of_waste(
    "retry_loops",
    "Retry loops",
    "arrow-clockwise",
    "What looks like one request sent again and again within minutes, answered and paid each time, or failing each"
    " time.",
    Wasted(_look, piece_of_repeat, _tell),
)
