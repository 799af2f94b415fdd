"""Insights over time: found, found again, gone, dismissed, done; their evidence; what was realized."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable

import pytest
from django.core.exceptions import PermissionDenied
from hypothesis import given
from hypothesis import strategies as st

from accounts.audit import Actor
from accounts.models import AuditEntry, Organization, Role
from core.errors import ApiError
from core.tenancy import organization_scope, unscoped
from metering.events import Usage
from reports.advice import KINDS, acting, following, kind_of, rounds
from reports.advice.kind import Context, Estimate, Finding, Kind, Piece, Work
from reports.advice.reach import Reach
from reports.advice.records import PART, evidence_of, open_insights
from reports.advice.savings import estimate_of, window_of
from reports.models import AdviceRound, Effort, Insight
from tests.reports.advice.making import DAY, HOUR, NOW, call, context_of, keep, nanos, set_prices, short_calls, write

pytestmark = pytest.mark.django_db
BY = Actor.of_command("test")
OWNER = Reach.of(Role.OWNER)


def kind(*findings: Finding, work: Callable[[Context, str], Work] | None = None) -> Kind:
    def find(_context: Context) -> Iterable[Finding]:
        return findings

    return Kind("model_switch", "Label", "cpu", "About.", find, work)


def finding(saved: int = 2 * 10**9, subject: str = "s", pieces: int = 1, at: dt.datetime = NOW - 5 * DAY) -> Finding:
    """It saves so many nano-dollars, all of them in its last piece."""
    listed = [Piece(f"e{number}", at + number * dt.timedelta(seconds=1), 100, 100) for number in range(pieces - 1)]
    return Finding(subject, "Title", "Text.", [*listed, Piece("last", at + HOUR, saved + 7, 7)], Effort.SMALL)


# ── Found ──


def test_what_is_found_is_kept_with_all_its_evidence(acme: Organization) -> None:
    (insight,) = keep(acme, kind(finding(pieces=2 * PART + 3)))
    assert (insight.state, insight.evidence_count, insight.likely_nanos) == ("open", 2 * PART + 3, 2 * 10**9)
    with organization_scope(acme.pk):
        pieces = list(evidence_of(insight))
        assert [piece.at for piece in pieces] == sorted(piece.at for piece in pieces)
        assert sum((piece.now_nanos or 0) - (piece.would_nanos or 0) for piece in pieces) == insight.likely_nanos
        assert [piece.id for piece in evidence_of(insight, PART - 1, 2)] == [f"e{PART - 1}", f"e{PART}"]
        assert [piece.id for piece in evidence_of(insight, 2 * PART + 2, 50)] == ["last"]


def test_again_it_is_the_same_row_with_new_figures(acme: Organization) -> None:
    (first,) = keep(acme, kind(finding()))
    (again,) = keep(acme, kind(finding(3 * 10**9, pieces=4)), NOW + DAY)
    assert (again.pk, again.likely_nanos, again.found_at) == (first.pk, 3 * 10**9, first.found_at)
    with organization_scope(acme.pk):
        assert len(list(evidence_of(again))) == 4


def test_what_is_not_found_any_more_is_gone_and_comes_back(acme: Organization) -> None:
    keep(acme, kind(finding()))
    (gone,) = keep(acme, kind(), NOW + DAY)
    assert gone.state == "gone"
    (back,) = keep(acme, kind(finding()), NOW + 2 * DAY)
    assert (back.state, back.found_at) == ("open", NOW + 2 * DAY)
    keep(acme, kind(), NOW + 3 * DAY)
    assert keep(acme, kind(), NOW + 94 * DAY) == []


@pytest.mark.parametrize(
    ("cost_usd", "saved", "is_told"),
    [
        (200, -5, False), (200, 999_999_999, False), (200, 10**9, True),
        (20, 199_999_999, False), (20, 2 * 10**8, True),
        (2_000, 2 * 10**9 - 1, False), (2_000, 2 * 10**9, True),
    ],
)  # fmt: skip
def test_nothing_is_told_that_is_not_worth_it(acme: Organization, cost_usd: int, saved: int, is_told: bool) -> None:
    """A dollar; of little one percent, of much a thousandth."""
    set_prices()
    write(acme, [call("whole", NOW - 5 * DAY, Usage(input=cost_usd * 400_000))])
    assert len(keep(acme, kind(finding(saved)))) == is_told


def test_nothing_is_told_without_evidence(acme: Organization) -> None:
    empty = Finding("s", "Title", "Text.", [], Effort.SMALL, estimate=Estimate(1, 10**10, 10**11))
    assert keep(acme, kind(empty)) == []


# ── The range ──


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(-(10**9), 10**9)), min_size=1, max_size=40))
def test_likely_is_the_sum_and_within_the_range(amounts: list[tuple[int, int]]) -> None:
    zone = Organization(timezone="Europe/Berlin").zone
    _, end = window_of(NOW, zone)
    pieces = [Piece("p", end - (day + 1) * DAY + HOUR, max(0, saved), max(0, -saved)) for day, saved in amounts]
    estimate = estimate_of(pieces, end, zone)
    assert estimate is not None
    assert estimate.likely == sum(saved for _, saved in amounts)
    assert estimate.low <= estimate.likely <= estimate.high


def test_the_range_is_that_of_the_weeks() -> None:
    zone = Organization(timezone="Europe/Berlin").zone
    _, end = window_of(NOW, zone)
    pieces = [
        Piece("p", end - days * DAY - HOUR, saved, 0) for days, saved in ((1, 700), (8, 1_400), (15, 70), (22, 7))
    ]
    assert estimate_of(pieces, end, zone) == Estimate(30, 2_177, 6_000)
    assert estimate_of([Piece("key", end, None, None)], end, zone) is None


# ── Dismissed ──


def test_dismissed_advice_stays_dismissed(acme: Organization) -> None:
    (insight,) = keep(acme, kind(finding()))
    with organization_scope(acme.pk):
        acting.dismiss(insight, " Not worth it. ", OWNER, by=BY, at=NOW)
    for later in (DAY, 40 * DAY, 89 * DAY):
        (still,) = keep(acme, kind(finding(10**10)), NOW + later)
        assert (still.state, still.reason, still.likely_nanos) == ("dismissed", "Not worth it.", 10**10)
    keep(acme, kind(), NOW + 89 * DAY)
    with organization_scope(acme.pk):
        assert Insight.objects.get().state == "dismissed"
        assert AuditEntry.objects.get(action="insight.dismiss").changes == {"reason": [None, "Not worth it."]}


@pytest.mark.parametrize(("saved", "state"), [(2_900_000_000, "dismissed"), (3_000_000_000, "open")])
def test_it_comes_back_once_it_has_grown(acme: Organization, saved: int, state: str) -> None:
    (insight,) = keep(acme, kind(finding(2 * 10**9)))
    with organization_scope(acme.pk):
        acting.dismiss(insight, "", OWNER, by=BY, at=NOW)
    (later,) = keep(acme, kind(finding(saved)), NOW + 90 * DAY)
    assert later.state == state


def test_advice_is_settled_once_and_by_who_may(acme: Organization) -> None:
    (insight,) = keep(acme, kind(finding()))
    with organization_scope(acme.pk):
        with pytest.raises(PermissionDenied):
            acting.dismiss(insight, "", Reach.of(Role.VIEWER), by=BY)
        with pytest.raises(ApiError, match="at most 500"):
            acting.dismiss(insight, "x" * 501, OWNER, by=BY)
        acting.dismiss(insight, "", OWNER, by=BY)
        with pytest.raises(ApiError, match="not open"):
            acting.mark_done(insight, OWNER, by=BY)
        acting.open_again(insight, OWNER, by=BY)
        with pytest.raises(ApiError, match="neither"):
            acting.open_again(insight, OWNER, by=BY)


# ── Done ──


def test_realized_savings_are_measured_on_the_same_work_since(acme: Organization) -> None:
    """40 short calls before; since then 10 of the smaller model and 10 of the larger, whatever the sum was before."""
    set_prices()
    write(acme, short_calls(40, NOW - 10 * DAY))
    found = kind_of("model_switch")
    (insight,) = keep(acme, found)
    with organization_scope(acme.pk):
        acting.mark_done(insight, OWNER, by=BY, at=NOW)
    before = sum(nanos("gpt-4o", Usage(input=400 + n, output=20 + n)) for n in range(40))
    since = [
        *short_calls(10, NOW + 2 * DAY, "mini", model="gpt-4o-mini"),
        *short_calls(10, NOW + 2 * DAY, "still"),
    ]
    # Of the day it was done on, half is neither before nor since.
    write(acme, [*since, call("same day", NOW + HOUR, Usage(input=400, output=20))])
    with organization_scope(acme.pk):
        following.follow_up(context_of(acme, NOW + 4 * DAY), found)
        done = Insight.objects.get()
    cost = sum(
        nanos(model, Usage(input=400 + n, output=20 + n)) for model in ("gpt-4o", "gpt-4o-mini") for n in range(10)
    )
    assert (done.before_units, done.before_nanos) == (40, before)
    assert (done.since_units, done.since_nanos) == (20, cost)
    assert done.realized_nanos == before * 20 // 40 - cost
    assert done.settled_nanos == insight.likely_nanos
    # What it promised stands, though the calls are others by now.
    (kept,) = keep(acme, found, NOW + 4 * DAY)
    assert (kept.state, kept.likely_nanos) == ("done", insight.likely_nanos)


@pytest.mark.parametrize(
    ("since", "realized"), [(Work(10, 100), 0), (Work(20, 200), 0), (Work(10, 40), 60), (Work(10, 130), -30)]
)
def test_more_usage_is_no_loss_and_dearer_usage_is_one(acme: Organization, since: Work, realized: int) -> None:
    """10 units cost 100 before."""
    insight = Insight(before_units=10, before_nanos=100, since_units=since.units, since_nanos=since.nanos)
    assert insight.realized_nanos == realized
    assert Insight(before_units=0, before_nanos=0, since_units=1, since_nanos=1).realized_nanos is None
    assert Insight(before_units=10, before_nanos=100).realized_nanos is None


def test_it_is_followed_for_ninety_days_and_then_is_advice_again(acme: Organization) -> None:
    measured = kind(finding(subject="openai|gpt-4o|gpt-4o-mini"), work=lambda _context, _subject: Work(1, 1))
    (insight,) = keep(acme, measured)
    with organization_scope(acme.pk):
        acting.mark_done(insight, OWNER, by=BY, at=NOW)
        for days in (3, 95):
            following.follow_up(context_of(acme, NOW + days * DAY), measured)
            insight.refresh_from_db()
        # To the end of the ninetieth day since.
        assert insight.measured_until is not None
        assert insight.measured_from is not None
        assert insight.measured_until - insight.measured_from == following.FOLLOWED
    (again,) = keep(acme, measured, NOW + 91 * DAY)
    assert (again.state, again.measured_from, again.before_units) == ("open", None, None)


# ── A round ──


def test_a_round_looks_for_everything_and_counts_each_call_once(acme: Organization) -> None:
    """The short calls come in bursts: two kinds speak of the same ones."""
    set_prices()
    events = [
        call(f"b{day}-{n}", NOW - day * DAY + n * dt.timedelta(seconds=9), Usage(input=500 + n, output=50),
             feature="digest", detail={"streamed": False})
        for day in range(2, 5) for n in range(30)
    ]  # fmt: skip
    write(acme, events)
    with organization_scope(acme.pk):
        assert rounds.ask(acme.pk, NOW)
        assert not rounds.ask(acme.pk, NOW)
    rounds.look(acme.pk, NOW)
    with organization_scope(acme.pk):
        by_kind = {insight.kind: insight for insight in open_insights(acme.pk, Role.VIEWER)}
        found = AdviceRound.objects.get()
    assert {"model_switch", "batch_tier"} <= set(by_kind)
    # The smaller model saves more of each.
    assert found.together_nanos == by_kind["model_switch"].likely_nanos
    assert (found.asked_at, found.finished_at, found.failed) == (None, NOW, [])
    with organization_scope(acme.pk):
        acting.dismiss(by_kind["model_switch"], "", OWNER, by=BY)
        assert AdviceRound.objects.get().together_nanos == by_kind["batch_tier"].likely_nanos
    assert found.cost_nanos == sum(nanos("gpt-4o", event.usage) for event in events if event.usage)


def test_a_kind_that_fails_keeps_nobody_waiting(acme: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    set_prices()
    write(acme, short_calls(30, NOW - 10 * DAY))
    rounds.look(acme.pk, NOW)
    monkeypatch.setitem(KINDS, "batch_tier", "tests.reports.advice.making.FAILING")
    kind_of.cache_clear()
    write(acme, short_calls(30, NOW - 8 * DAY, "more"))
    rounds.look(acme.pk, NOW + DAY)
    monkeypatch.undo()
    kind_of.cache_clear()
    with organization_scope(acme.pk):
        assert AdviceRound.objects.get().failed == ["batch_tier"]
        assert Insight.objects.get(kind="model_switch").evidence_count == 60


def test_each_organization_is_due_once_its_night_is_over(acme: Organization, globex: Organization) -> None:
    """Acme is in Berlin; Globex, in New York, has no usage."""
    set_prices()
    write(acme, short_calls(1, NOW - DAY))

    def due(at: dt.datetime) -> list[int]:
        with unscoped("a test asks who is due"):
            return rounds.due(at)

    # Who waits in the queue is not asked twice, and a round that is made already is not made again.
    with unscoped("beat asks"):
        assert [rounds.ask(acme.pk, NOW), rounds.ask(acme.pk, NOW)] == [True, False]
    midnight = dt.datetime(2026, 11, 20, 23, tzinfo=dt.UTC)
    assert rounds.is_asked(acme.pk)
    rounds.look(acme.pk, NOW)
    assert not rounds.is_asked(acme.pk)
    assert due(NOW + HOUR) == []
    assert due(midnight + 2 * HOUR) == []
    assert due(midnight + 3 * HOUR) == [acme.pk]
    rounds.look(acme.pk, midnight + 3 * HOUR)
    assert due(midnight + 4 * HOUR) == []
