"""Answers far longer than their like: what max_tokens at the usual length had saved, at the very prices charged."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.figures import tokens
from metering.events import Usage
from metering.pricing.plan import Plan
from metering.pricing.versions import load_versions
from metering.query.answers import FAR, LEAST_LIKE, LongAnswer, long_answers
from reports.advice.kind import Context, Finding, Piece
from reports.advice.wasted import Place, Wasted, counted, kind_of_waste
from reports.models import Effort


class Capped(msgspec.Struct, frozen=True):
    """A long answer, and what its call had cost with an answer of the usual length."""

    answer: LongAnswer
    would_nanos: int

    @property
    def project(self) -> int:
        return self.answer.project

    @property
    def model(self) -> int:
        return self.answer.model


def capped(usage: Usage, limit: int) -> Usage:
    """At most `limit` tokens of answer and thoughts, the answer cut first; for usage without spoken or drawn output."""
    excess = max(0, usage.output + usage.reasoning - limit)
    output = max(0, usage.output - excess)
    return msgspec.structs.replace(usage, output=output, reasoning=usage.reasoning - (excess - (usage.output - output)))


def _look(context: Context) -> list[Capped]:
    answers = long_answers(context.organization_id, context.start, context.end)
    versions = load_versions(answer.price_version for answer in answers)
    plans = {number: Plan(version, "") for number, version in versions.items()}
    found = []
    for one in answers:
        if one.price_version not in plans:
            continue
        rated = plans[one.price_version].rate(capped(one.usage, one.usual), one.at, one.service_tier, one.duration_ms)
        if rated.cost_nanos is not None:
            found.append(Capped(one, rated.cost_nanos))
    return found


def _piece(row: Capped) -> Piece:
    said, usual = row.answer.usage.completion_tokens, row.answer.usual
    note = f"{tokens(said)} tokens; 95% of its like stay within {tokens(usual)}"
    return Piece(row.answer.event_id, row.answer.at, row.answer.cost_nanos, row.would_nanos, note)


def _tell(place: Place, rows: Sequence[Capped], pieces: Sequence[Piece]) -> Finding:
    longest = max(row.answer.usage.completion_tokens for row in rows)
    return Finding(
        subject=place.subject,
        title=f"Set max_tokens for the answers in {place.label}",
        text=(
            f"{counted(len(rows), 'answer')} {'was' if len(rows) == 1 else 'were'} more than {FAR} times as long as 95%"
            f" of the answers with the same feature and model, the longest {tokens(longest)} tokens. With a limit at"
            " that length the rest had neither been written nor paid."
        ),
        pieces=pieces,
        effort=Effort.SMALL,
        terms=(
            ("Usual is", "what 95% of the answers of the same project, feature and model stay within"),
            ("Far longer is", f"more than {FAR} times the usual length"),
            ("Compared", f"only where there are {LEAST_LIKE} such answers or more"),
            ("Counted is", "the part beyond the usual length, at the price the call was charged"),
            ("Models", place.models),
        ),
        caveat="A long answer may have been what was asked for. One that is cut off may be asked for again.",
    )


KIND = kind_of_waste(
    "max_tokens",
    "Answers without a limit",
    "sliders",
    "Answers far longer than is usual for their feature and model, which max_tokens would have ended.",
    Wasted(_look, _piece, _tell),
)
