"""Large files sent whole again and again: a summary in their place, less what it takes to write it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from core.figures import money, tokens
from core.money import nanos_from_femtos
from metering.pricing.plan import Plan, Version
from metering.pricing.versions import load_versions
from metering.query.file_repeats import LARGE, LEAST_USES, WHOLE_TENTHS, FileUse, file_repeats
from metering.query.run import run
from reports.advice.kind import Context, Estimate, Finding, Kind, Piece, Work
from reports.advice.wasted import counted
from reports.models import Effort

# How long a summary is, in percent of the file: at least, likely and at most saved.
SUMMARIES = (20, 10, 5)
LIKELY = 10
_SUBJECT = "file:"


class Summary(msgspec.Struct, frozen=True):
    """What writing one costs, in nano-dollars: the file read once more, and so many `words` (tokens) of output."""

    words: int
    cost_nanos: int


def summary_of(first: FileUse, percent: int, femtos_per_word: int) -> Summary:
    """Of a file at the price of its first use."""
    words = -(-first.extracted * percent // 100)
    return Summary(words, first.share_nanos + nanos_from_femtos(words * femtos_per_word))


def spared_nanos(use: FileUse, percent: int) -> int:
    """Of the file's share of a call, what a summary of that length takes away; rounded down."""
    return use.share_nanos * (100 - percent) // 100


def _find(context: Context) -> Iterator[Finding]:
    found = by_file(file_repeats(context.organization_id, context.start, context.end))
    versions = load_versions(uses[0].price_version for uses in found.values())
    for file, uses in found.items():
        first, *again = uses
        femtos = _femtos_per_word(first, versions.get(first.price_version))
        if femtos is not None and again:
            yield _tell(file, first, again, femtos)


def by_file(uses: Iterable[FileUse]) -> dict[str, list[FileUse]]:
    """The uses of each file, its first one first."""
    found: dict[str, list[FileUse]] = {}
    for use in uses:
        found.setdefault(use.file, []).append(use)
    return found


def _femtos_per_word(use: FileUse, version: Version | None) -> int | None:
    """What a token of output costs with a call; None of models that do not write."""
    vector = Plan(version, "").vector(use.usage, use.at, use.service_tier) if version else None
    rate = vector.rates.get("output") if vector else None
    return rate.femtos_per_unit if rate and use.usage.completion_tokens else None


def _tell(file: str, first: FileUse, again: Sequence[FileUse], femtos: int) -> Finding:
    likely = summary_of(first, LIKELY, femtos)
    note = f"sent once more to be summarized: {tokens(likely.words)} tokens, {money(likely.cost_nanos, 4)}"
    pieces = [
        Piece(first.event_id, first.at, first.cost_nanos, first.cost_nanos + likely.cost_nanos, note),
        *(
            Piece(
                use.event_id,
                use.at,
                use.cost_nanos,
                use.cost_nanos - spared_nanos(use, LIKELY),
                f"{tokens(use.share_tokens)} tokens of the prompt are the file",
            )
            for use in again
        ),
    ]
    estimate = Estimate(
        *(
            sum(spared_nanos(use, percent) for use in again) - summary_of(first, percent, femtos).cost_nanos
            for percent in SUMMARIES
        )
    )
    chats = len({use.chat for use in again if use.chat})
    where = f", in {counted(chats, 'chat')}" if chats else ""
    return Finding(
        subject=f"{_SUBJECT}{file}",
        title=f"Summarize {first.name}",
        text=(
            f"{first.name} has {tokens(first.extracted)} tokens and was sent whole {counted(len(again) + 1, 'time')}"
            f"{where}. Sent once to be summarized, and as a summary of some {tokens(likely.words)} tokens from then on,"
            " it costs a fraction; or look up the passages that a question is about."
        ),
        pieces=pieces,
        effort=Effort.MEDIUM,
        terms=(
            ("A large file", f"has {tokens(LARGE)} tokens or more and was sent whole {LEAST_USES} times or more"),
            ("Sent whole is", f"a use with {10 * WHOLE_TENTHS}% of its tokens or more in the prompt"),
            ("Length of a summary", f"{SUMMARIES[0]}%, likely {SUMMARIES[1]}%, at best {SUMMARIES[2]}% of the file"),
            ("Counted is", "the file's share of what each prompt after the first cost, less the summary's part of it"),
            ("Taken off", "the file read once more and the summary written, at the prices of the first use"),
        ),
        caveat="Work that needs the text word for word, like checking or extracting, cannot do with a summary."
        " Where providers cache prompts, a repeated file is cheaper than it was; that is in the costs already.",
        estimate=estimate,
    )


def _work(context: Context, subject: str) -> Work:
    """All calls, and what the file's shares of them cost."""
    file = subject.removeprefix(_SUBJECT)
    uses = file_repeats(context.organization_id, context.start, context.end)
    return Work(run(context.query()).totals.requests, sum(use.share_nanos for use in uses if use.file == file))


KIND = Kind(
    "large_files",
    "Large files",
    "file-earmark-text",
    "Large files that are sent whole with one call after the other, where a summary would do.",
    _find,
    _work,
)
