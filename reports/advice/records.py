"""Insights as they are kept: found, found again, gone; and their evidence, call by call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from django.db.models import F, QuerySet

from accounts.models import Role
from core.errors import ApiError
from core.money import NANOS_PER_USD
from reports.advice.kind import Context, Estimate, Finding, Kind, Piece
from reports.advice.reach import Reach
from reports.advice.savings import estimate_of
from reports.models import Insight, InsightEvidence, InsightState

# What low and high savings are where a finding does not say it (reports/advice/savings.py).
RANGE = ("Range", "the poorest and the best of the last four weeks, taken as 30 days")
# Pieces of evidence in one row.
PART = 1_000
# Worth anybody's time is a hundredth of the cost, or a dollar a month where that is no less than a thousandth.
LEAST_SHARE = Fraction(1, 100)
LEAST_NANOS = NANOS_PER_USD
LEAST_SHARE_OF_MUCH = Fraction(1, 1_000)
# Dismissed advice is shown again when it was dismissed that long ago and now saves half as much again.
RESTED = dt.timedelta(days=90)
GROWN_PERCENT = 150
# Advice that is done is followed up that long; what is found again behind that is advice anew.
FOLLOWED = dt.timedelta(days=90)
KEPT_WHEN_GONE = dt.timedelta(days=90)


# ── Finding ──


def keep(context: Context, kind: Kind) -> None:
    """Look for a kind of advice, and keep what is found beside what was. Needs the organization's scope, and that
    nobody else does the same."""
    # Looked for before anything is locked: who settles an insight is not to wait for that.
    findings = list(kind.find(context))
    known = {insight.subject: insight for insight in Insight.objects.filter(kind=kind.name).select_for_update()}
    found: set[str] = set()
    for finding in findings:
        estimate = finding.estimate or estimate_of(finding.pieces, context.end, context.zone)
        if not finding.pieces or not _is_worth_telling(_stake(finding, estimate), context.cost_nanos):
            continue
        found.add(finding.subject)
        insight = known.get(finding.subject) or Insight(
            organization_id=context.organization_id, kind=kind.name, subject=finding.subject, found_at=context.now
        )
        if insight.state == InsightState.DONE and not _is_followed_up(insight, context.now):
            # The figures it was taken for stand, to be compared with.
            continue
        _describe(insight, finding, context)
        insight.low_nanos, insight.likely_nanos, insight.high_nanos = (
            (estimate.low, estimate.likely, estimate.high) if estimate else (None, None, None)
        )
        if _is_open_again(insight, context.now):
            reopen(insight, context.now)
        insight.save()
        _keep_evidence(insight, finding.pieces)
    for subject, insight in known.items():
        if subject not in found and insight.state == InsightState.OPEN:
            insight.state = InsightState.GONE
            insight.checked_at = context.now
            insight.save(update_fields=["state", "checked_at"])
    Insight.objects.filter(
        kind=kind.name, state=InsightState.GONE, checked_at__lt=context.now - KEPT_WHEN_GONE
    ).delete()


def reopen(insight: Insight, at: dt.datetime) -> None:
    """As new, from now on; does not save."""
    insight.state, insight.found_at = InsightState.OPEN, at
    insight.settled_at, insight.settled_by_label, insight.reason, insight.settled_nanos = None, "", "", None
    insight.before_units = insight.before_nanos = insight.since_units = insight.since_nanos = None
    insight.measured_from = insight.measured_until = None


def _stake(finding: Finding, estimate: Estimate | None) -> int | None:
    if finding.stake_nanos is not None:
        return finding.stake_nanos
    return None if estimate is None else estimate.likely


def _is_worth_telling(stake: int | None, cost_nanos: int) -> bool:
    if stake is None:
        return True
    is_much = stake >= LEAST_NANOS and stake >= LEAST_SHARE_OF_MUCH * cost_nanos
    return stake > 0 and (is_much or stake >= LEAST_SHARE * cost_nanos)


def _is_followed_up(insight: Insight, now: dt.datetime) -> bool:
    return insight.settled_at is not None and insight.settled_at + FOLLOWED <= now


def _is_open_again(insight: Insight, now: dt.datetime) -> bool:
    if insight.state != InsightState.DISMISSED:
        return insight.state in (InsightState.GONE, InsightState.DONE)
    has_rested = insight.settled_at is not None and insight.settled_at + RESTED <= now
    if not has_rested or insight.settled_nanos is None or insight.likely_nanos is None:
        return False
    return 100 * insight.likely_nanos >= GROWN_PERCENT * insight.settled_nanos


def _describe(insight: Insight, finding: Finding, context: Context) -> None:
    insight.title, insight.text, insight.caveat = finding.title, finding.text, finding.caveat
    insight.terms = [list(term) for term in finding.terms]
    if finding.estimate is None and any(piece.would_nanos is not None for piece in finding.pieces):
        insight.terms.append(list(RANGE))
    insight.effort = finding.effort
    insight.starts_at, insight.ends_at, insight.checked_at = context.start, context.end, context.now
    insight.cost_nanos = context.cost_nanos
    insight.evidence_count = len(finding.pieces)
    insight.now_nanos = _sum(piece.now_nanos for piece in finding.pieces)
    insight.would_nanos = _would(finding.pieces)


def _sum(amounts: Iterable[int | None]) -> int | None:
    """None where none is known."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _would(pieces: Sequence[Piece]) -> int | None:
    """Of what is not known to change, what it costs now; None where nothing is known to."""
    if all(piece.would_nanos is None for piece in pieces):
        return None
    return _sum(piece.now_nanos if piece.would_nanos is None else piece.would_nanos for piece in pieces)


def _keep_evidence(insight: Insight, pieces: Sequence[Piece]) -> None:
    InsightEvidence.objects.filter(insight=insight).delete()
    ordered = sorted(pieces, key=lambda piece: (piece.at, piece.id))
    InsightEvidence.objects.bulk_create(
        (
            InsightEvidence(
                organization_id=insight.organization_id,
                insight=insight,
                part=number,
                ids=[piece.id for piece in part],
                times=[piece.at for piece in part],
                now_nanos=[piece.now_nanos for piece in part],
                would_nanos=[piece.would_nanos for piece in part],
                notes=[piece.note for piece in part],
            )
            for number in range(-(-len(ordered) // PART))
            for part in [ordered[number * PART : (number + 1) * PART]]
        ),
        batch_size=20,
    )


# ── Reading ──


def open_insights(organization_id: int, role: Role | str) -> list[Insight]:
    """Open advice that the role may see, what saves most first. Needs the organization's scope."""
    return list(seen(Reach.of(role)).filter(organization_id=organization_id, state=InsightState.OPEN))


def seen(reach: Reach) -> QuerySet[Insight]:
    """Insights in the order of lists. Needs the organization's scope."""
    return Insight.objects.filter(kind__in=reach.kinds).order_by(F("likely_nanos").desc(nulls_last=True), "id")


def find_insight(insight_id: int, reach: Reach) -> Insight:
    """Raises ApiError 404 for one that is not there, or not to be seen. Needs the organization's scope."""
    insight: Insight | None = seen(reach).filter(pk=insight_id).first()
    if insight is None:
        raise ApiError(404, "not_found", "There is no such insight.")
    return insight


def evidence_of(insight: Insight, first: int = 0, count: int | None = None) -> Iterator[Piece]:
    """The pieces of its evidence by time, `count` of them from number `first` on. Needs the organization's scope."""
    parts = InsightEvidence.objects.filter(insight=insight, part__gte=first // PART).order_by("part")
    if count is not None:
        parts = parts.filter(part__lte=(first + count - 1) // PART)
    skip = first % PART
    left = count
    for part in parts.iterator(chunk_size=5):
        for values in zip(part.ids, part.times, part.now_nanos, part.would_nanos, part.notes, strict=True):
            if skip:
                skip -= 1
                continue
            if left is not None:
                if not left:
                    return
                left -= 1
            piece_id, at, now, would, note = values
            yield Piece(piece_id, at, now, would, note)
