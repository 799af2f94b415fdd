"""Long conversations: what a shorter memory had saved on their very calls."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from core.figures import money, tokens
from metering.query.history import GROWING_TENTHS, GROWN, LEAST_CALLS, GrownCall, grown_calls
from reports.advice.kind import Context, Estimate, Finding, Piece
from reports.advice.wasted import Place, Wasted, counted, kind_of_waste
from reports.models import Effort

# Tokens a prompt is kept to: at least, likely and at most saved.
MEMORIES = (32_000, 16_000, 8_000)
_LOW, _LIKELY, _HIGH = range(len(MEMORIES))
# Conversations that are named, those that save most; each call of the evidence leads to its own.
NAMED, LONGEST_NAME = 5, 60


def _look(context: Context) -> list[GrownCall]:
    return grown_calls(context.organization_id, context.start, context.end, MEMORIES)


def _piece(row: GrownCall) -> Piece:
    saved = row.saved_nanos[_LIKELY]
    note = (
        f"{tokens(row.history[_LIKELY])} of {tokens(row.prompt)} tokens are history beyond {tokens(MEMORIES[_LIKELY])}"
    )
    return Piece(row.event_id, row.at, row.cost_nanos, row.cost_nanos - saved, note)


def _tell(place: Place, rows: Sequence[GrownCall], pieces: Sequence[Piece]) -> Finding:
    chats = len({row.chat for row in rows})
    likely = MEMORIES[_LIKELY]
    return Finding(
        subject=place.subject,
        title=f"Clear or compact long conversations in {place.label}",
        text=(
            f"{counted(chats, 'conversation')} grew to up to {tokens(max(row.prompt for row in rows))} tokens a call,"
            " because each call sends all that was said before. Begin anew when the subject changes, or put a summary"
            f" in the place of what is old once a prompt has more than {tokens(likely)} tokens."
        ),
        # Calls with no more history than is kept take part in what could be saved at most alone.
        pieces=[piece for piece, row in zip(pieces, rows, strict=True) if row.saved_nanos[_LIKELY]],
        effort=Effort.MEDIUM,
        terms=(
            ("Conversations", _named(rows)),
            ("A conversation grows", f"in {LEAST_CALLS} calls or more of one model"),
            ("Of them", f"{10 * GROWING_TENTHS}% are longer than the one before, the longest {GROWN} times the first"),
            ("Kept to, at least saved", f"{tokens(MEMORIES[_LOW])} tokens a prompt"),
            ("Kept to, likely", f"{tokens(likely)} tokens a prompt"),
            ("Kept to, at most saved", f"{tokens(MEMORIES[_HIGH])} tokens a prompt"),
            ("Never counted", "what the first call had sent, and what a call says is no context"),
            ("Counted is", "the tokens beyond, at what each token of that prompt cost on average"),
            ("Models", place.models),
        ),
        caveat="What is compacted can no longer be read word for word. Prompts are taken to stay as long as they are"
        " allowed to be, though a compacted one is mostly shorter: that pays for the summaries.",
        estimate=Estimate(*(sum(row.saved_nanos[memory] for row in rows) for memory in range(len(MEMORIES)))),
    )


def _named(rows: Sequence[GrownCall]) -> str:
    saved: dict[str, int] = defaultdict(int)
    names = {}
    for row in rows:
        saved[row.chat] += row.saved_nanos[_LIKELY]
        names[row.chat] = _shortened(row.title or row.chat)
    most = sorted(saved, key=lambda chat: (-saved[chat], chat))
    alike = Counter(names.values())
    told = [
        f"{names[chat]}{f' [{_shortened(chat)}]' if alike[names[chat]] > 1 else ''} ({money(saved[chat])})"
        for chat in most[:NAMED]
    ]
    if len(most) > NAMED:
        told.append(f"{tokens(len(most) - NAMED)} more")
    return ", ".join(told)


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1].rstrip()}…"


KIND = kind_of_waste(
    "long_chats",
    "Long conversations",
    "chat-left-text",
    "Conversations whose prompts grow call by call, because all that was said before is sent again.",
    Wasted(_look, _piece, _tell),
)
