"""Answers that were no use: empty, stopped, cut off, far too long. Each found, each repriced, and nothing else."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Organization, Project
from core import figures
from core.tenancy import organization_scope
from metering.events import Usage
from metering.pricing.plan import Plan
from metering.pricing.versions import load_versions
from metering.query.answers import empty_answers
from metering.query.efficiency import find_efficiency
from metering.query.spec import UsageQuery
from reports.advice import kind_of
from reports.advice.long_answers import capped
from reports.advice.records import evidence_of, keep
from reports.advice.wasted import saved_nanos
from reports.models import Insight
from tests.metering.query.priced_usage import set_prices, write_rated
from tests.reports.advice.waste import AT, END, MINUTE, START, call, context_of, costs, find, saved, work


@pytest.fixture
def prices(website: Project) -> None:
    set_prices()


@pytest.mark.django_db
@pytest.mark.usefixtures("prices")
def test_empty_answers_are_those_of_the_page_of_efficiency_and_what_was_stopped(acme: Organization) -> None:
    full, nothing = Usage(input=400, output=20), Usage(input=400)
    rated = write_rated(
        acme.pk,
        [
            call("full", AT, full),
            call("thought", AT, Usage(input=400, reasoning=20)),
            call("empty", AT, nothing),
            call("stopped", AT, full, status="cancelled"),
            call("failed", AT, full, status="error"),
            call("stopped-unpaid", AT, nothing, model="odd-one", status="cancelled"),
            call("vector", AT, nothing, model="long"),
            call("free", AT, nothing, model="free-one"),
            call("elsewhere", AT, nothing, project=None),
        ],
    )
    cost = costs(rated)
    findings = find(acme, "empty_answers")
    found = {piece.id: piece for finding in findings for piece in finding.pieces}
    assert set(found) == {"empty", "stopped", "elsewhere"}
    assert {name: saved_nanos(piece) for name, piece in found.items()} == {name: cost[name] for name in found}
    titles = {finding.title for finding in findings}
    assert titles == {
        "Mend 2 empty or unused answers in Website",
        "Mend 1 empty or unused answer in calls without a project",
    }
    with organization_scope(acme.pk):
        empty = [row for row in empty_answers(acme.pk, START, END) if not row.is_stopped]
    measured = find_efficiency(UsageQuery(acme.pk, START, END, acme.zone), "model")
    assert len(empty) == measured.whole.answers.empty == 2
    website = next(finding for finding in findings if "Website" in finding.title)
    done = work(acme, "empty_answers", website.subject)
    assert (done.units, done.nanos) == (8, saved(website))


HALF = Usage(input=900, output=500)


@pytest.mark.django_db
@pytest.mark.usefixtures("prices", "in_acme")
def test_only_answers_cut_off_and_sent_again_save_anything(acme: Organization) -> None:
    """What the others cost is lost: more room would have cost more."""
    cut = {"detail": {"finish_reason": "length"}, "message": "m"}
    rated = write_rated(
        acme.pk,
        [
            # Twice too short, then whole.
            call("first", AT, HALF, chat="c1", **cut),
            call("second", AT + MINUTE, HALF, chat="c1", **cut),
            call("third", AT + 2 * MINUTE, Usage(input=900, output=900), chat="c1", message="m"),
            # Nothing after it; something else after it; too late; of calls of one size each proves nothing.
            call("alone", AT, HALF, chat="c2", **cut),
            call("other", AT, HALF, chat="c3", **cut),
            call("else", AT + MINUTE, Usage(input=1_400, output=20), chat="c3", message="m"),
            call("late", AT, HALF, chat="c4", **cut),
            call("later", AT + 11 * MINUTE, HALF, chat="c4", message="m"),
            *(call(f"label{n}", AT + n * MINUTE, HALF, detail={"finish_reason": "length"}) for n in range(3)),
        ],
    )
    rows = {one.row.event_id: one.row for one in rated if one.row}
    keep(context_of(acme), kind_of("cut_off"))
    insight = Insight.objects.get()
    pieces = {piece.id: piece for piece in evidence_of(insight)}
    assert set(pieces) == {"first", "second", "alone", "other", "late", "label0", "label1", "label2"}
    again = {"first", "second"}
    assert {name: piece.would_nanos for name, piece in pieces.items()} == {
        name: 0 if name in again else None for name in pieces
    }
    likely = sum(rows[name].cost_nanos or 0 for name in again)
    assert insight.likely_nanos == likely == sum(map(saved_nanos, pieces.values())) > 0
    assert insight.now_nanos == sum(rows[name].cost_nanos or 0 for name in pieces)
    assert insight.would_nanos == insight.now_nanos - likely
    lost = sum(rows[name].output_cost_nanos or 0 for name in pieces if name not in again)
    assert insight.title == "8 answers in Website were cut off at max_tokens"
    assert f"first attempts cost {figures.money(likely)}" in insight.text
    assert f"{figures.money(lost)} went to 6 answers that nobody seems to have asked for again" in insight.text
    # What the whole answer cost was not for a duplicate: no two kinds count the same request.
    assert {piece.id for found in find(acme, "duplicates") for piece in found.pieces} == {"label1", "label2"}
    assert work(acme, "cut_off", insight.subject).nanos == likely


@pytest.mark.django_db
@pytest.mark.usefixtures("prices", "in_acme")
def test_answers_cut_off_that_nobody_asked_for_again_are_lost_and_save_nothing(acme: Organization) -> None:
    rated = write_rated(
        acme.pk,
        [
            call("half", AT, HALF, detail={"finish_reason": "length"}),
            call("thought", AT, Usage(input=900, reasoning=500), detail={"finish_reason": "MAX_TOKENS"}),
            call("label", AT, Usage(input=900, output=49), detail={"finish_reason": "length"}),
            call("whole", AT, HALF, detail={"finish_reason": "stop"}),
            call("failed", AT, HALF, status="error", detail={"finish_reason": "length"}),
        ],
    )
    rows = {one.row.event_id: one.row for one in rated if one.row}
    keep(context_of(acme), kind_of("cut_off"))
    insight = Insight.objects.get()
    assert {piece.id for piece in evidence_of(insight)} == {"half", "thought"}
    assert (insight.low_nanos, insight.likely_nanos, insight.high_nanos, insight.would_nanos) == (None,) * 4
    assert insight.now_nanos == (rows["half"].cost_nanos or 0) + (rows["thought"].cost_nanos or 0)
    lost = (rows["half"].output_cost_nanos or 0) + (rows["thought"].cost_nanos or 0)
    assert f"{figures.money(lost)} went to 2 answers" in insight.text
    assert "1 call of them thought so long" in insight.text


@pytest.mark.django_db
@pytest.mark.usefixtures("prices", "in_acme")
def test_little_that_is_lost_is_not_told(acme: Organization) -> None:
    write_rated(
        acme.pk,
        [
            call("half", AT, Usage(input=900, output=50), detail={"finish_reason": "length"}),
            call("whole", AT, Usage(input=900_000, output=50_000)),
        ],
    )
    keep(context_of(acme), kind_of("cut_off"))
    assert not Insight.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("prices")
def test_far_too_long_answers_are_repriced_at_the_usual_length(acme: Organization) -> None:
    usual = [call(f"u{n}", AT + n * MINUTE, Usage(input=300, output=101 + n)) for n in range(100)]
    far = [
        call("far", AT, Usage(input=300, output=2_000, reasoning=50)),
        call("thinking", AT, Usage(input=300, output=100, reasoning=900)),
    ]
    edge = call("edge", AT, Usage(input=300, output=591))
    cut = call("cut", AT, Usage(input=300, output=5_000), detail={"finish_reason": "length"})
    few = [call(f"few{n}", AT, Usage(input=300, output=10 if n else 9_000), feature="rare") for n in range(99)]
    rated = write_rated(acme.pk, [*usual, *far, edge, cut, *few])
    rows = {one.row.event_id: one.row for one in rated if one.row}
    (finding,) = find(acme, "max_tokens")
    # Of 103 answers the 98th from below: 95% and no fewer are as long at most.
    p95 = sorted(row.output + row.reasoning for name, row in rows.items() if name[0] != "c" and "few" not in name)[97]
    assert p95 == 198
    assert {piece.id for piece in finding.pieces} == {"far", "thinking"}
    shorter = {"far": Usage(input=300, output=148, reasoning=50), "thinking": Usage(input=300, reasoning=198)}
    with organization_scope(acme.pk):
        (version,) = load_versions({rows["far"].price_version_id or 0}).values()
    for piece in finding.pieces:
        assert piece.now_nanos == rows[piece.id].cost_nanos
        assert piece.would_nanos == Plan(version, "").rate(shorter[piece.id], AT, None, None).cost_nanos
    assert "the longest 2,050 tokens" in finding.text
    assert work(acme, "max_tokens", finding.subject).nanos == saved(finding)


COUNTS = st.integers(0, 10_000)


@given(COUNTS, COUNTS, COUNTS)
def test_a_capped_answer_has_the_limit_and_nothing_else_changes(output: int, reasoning: int, limit: int) -> None:
    before = Usage(input=7, cache_read=3, output=output, reasoning=reasoning, web_searches=2)
    after = capped(before, limit)
    assert after.completion_tokens == min(limit, before.completion_tokens)
    assert (after.prompt_tokens, after.web_searches) == (10, 2)
    assert 0 <= after.output <= output
    assert 0 <= after.reasoning <= reasoning
    assert after.reasoning == reasoning or not after.output


@pytest.mark.django_db
@pytest.mark.usefixtures("prices")
def test_ordinary_answers_are_no_waste(acme: Organization) -> None:
    write_rated(
        acme.pk,
        [
            call(
                f"e{n}", AT + n * dt.timedelta(minutes=3), Usage(input=300 + n, output=100 + n % 200), chat=f"c{n % 9}"
            )
            for n in range(150)
        ],
    )
    for name in ("retry_loops", "duplicates", "empty_answers", "cut_off", "max_tokens", "long_chats", "large_files"):
        assert find(acme, name) == []
