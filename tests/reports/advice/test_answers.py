"""Answers that were no use: empty, stopped, cut off, far too long. Each found, each repriced, and nothing else."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Organization, Project
from core.tenancy import organization_scope
from metering.events import Usage
from metering.pricing.plan import Plan
from metering.pricing.versions import load_versions
from metering.query.answers import empty_answers
from metering.query.efficiency import find_efficiency
from metering.query.spec import UsageQuery
from reports.advice.long_answers import capped
from reports.advice.wasted import saved_nanos
from tests.metering.query.priced_usage import set_prices, write_rated
from tests.reports.advice.waste import AT, END, MINUTE, START, call, costs, find, saved, work


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
        empty = [row for row in empty_answers(acme.pk, START, END) if not row.is_other]
    measured = find_efficiency(UsageQuery(acme.pk, START, END, acme.zone), "model")
    assert len(empty) == measured.whole.answers.empty == 2
    website = next(finding for finding in findings if "Website" in finding.title)
    done = work(acme, "empty_answers", website.subject)
    assert (done.units, done.nanos) == (8, saved(website))


@pytest.mark.django_db
@pytest.mark.usefixtures("prices")
def test_answers_cut_off_are_lost_and_with_only_thoughts_all_of_the_call_is(acme: Organization) -> None:
    rated = write_rated(
        acme.pk,
        [
            call("half", AT, Usage(input=900, output=500), detail={"finish_reason": "length"}),
            call("thought", AT, Usage(input=900, reasoning=500), detail={"finish_reason": "MAX_TOKENS"}),
            call("label", AT, Usage(input=900, output=49), detail={"finish_reason": "length"}),
            call("whole", AT, Usage(input=900, output=500), detail={"finish_reason": "stop"}),
            call("failed", AT, Usage(input=900, output=500), status="error", detail={"finish_reason": "length"}),
        ],
    )
    rows = {one.row.event_id: one.row for one in rated if one.row}
    (finding,) = find(acme, "cut_off")
    lost = {piece.id: saved_nanos(piece) for piece in finding.pieces}
    assert lost == {"half": rows["half"].output_cost_nanos, "thought": rows["thought"].cost_nanos}
    estimate = finding.estimate
    assert estimate is not None
    assert estimate.likely == saved(finding) == sum(filter(None, lost.values()))
    assert estimate.low == rows["thought"].cost_nanos
    assert estimate.high == (rows["half"].cost_nanos or 0) + (rows["thought"].cost_nanos or 0)
    assert finding.title == "Let 2 answers in Website come to their end"


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
