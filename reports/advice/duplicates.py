"""Duplicate requests: equal ones within minutes of each other that are no loop. The first of each is not counted."""

from __future__ import annotations

from collections.abc import Sequence

from core.figures import count
from metering.query.alike import LEAST_PROMPT, WITHIN
from metering.query.repeats import LEAST_ANSWER, Repeat, paid_repeats
from reports.advice.kind import Context, Finding, Piece
from reports.advice.retry_loops import piece_of_repeat
from reports.advice.wasted import Place, Wasted, counted, kind_of_waste
from reports.models import Effort


def _look(context: Context) -> list[Repeat]:
    repeats = paid_repeats(context.organization_id, context.start, context.end)
    return [row for row in repeats if not row.is_loop]


def _tell(place: Place, rows: Sequence[Repeat], pieces: Sequence[Piece]) -> Finding:
    requests = len({row.run for row in rows})
    is_one = len(rows) == 1
    return Finding(
        subject=place.subject,
        title=f"{counted(len(rows), 'request')} in {place.label} look{'s' if is_one else ''} like"
        f" {'a duplicate' if is_one else 'duplicates'}",
        text=(
            f"{counted(requests, 'request')} {'looks' if requests == 1 else 'look'} as if sent and paid again within"
            f" {_minutes()} minutes{'' if requests == len(rows) else f', {count(len(rows))} times in all'}."
            f" If so, send {'it' if is_one else 'each'} once: give requests a key of their own, turn a button off while"
            " its call is under way, or keep answers for a few minutes."
        ),
        pieces=pieces,
        effort=Effort.MEDIUM,
        terms=(
            ("Equal are", "sender, chat, message, feature, model, tags, size of the prompt and of its parts"),
            ("Without chat and message", f"the answers' sizes too, {LEAST_ANSWER} tokens or more"),
            ("Shortest prompt", f"{LEAST_PROMPT} tokens"),
            ("At most apart", f"{_minutes()} minutes"),
            ("Counted is", "all but the first call of each"),
            ("Models", place.models),
        ),
        caveat="Texts are not kept: that two requests asked the same is concluded from all that is kept of them."
        " Somebody may have asked for a second answer on purpose.",
    )


def _minutes() -> str:
    return count(int(WITHIN.total_seconds()) // 60)


KIND = kind_of_waste(
    "duplicates",
    "Duplicate requests",
    "copy",
    "Requests within minutes of each other that look equal, each of them paid.",
    Wasted(_look, piece_of_repeat, _tell),
)
