"""Prompts larger than they need be: long conversations, and large files sent whole again and again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Organization, Project
from core import figures
from core.money import nanos_from_femtos
from core.tenancy import organization_scope
from metering.events import Usage, UsageEvent
from metering.query.file_repeats import FileUse, file_repeats
from metering.query.files import list_files
from reports.advice.large_files import SUMMARIES, spared_nanos, summary_of
from reports.advice.long_chats import MEMORIES
from reports.advice.wasted import saved_nanos
from tests.metering.query.priced_usage import set_prices, write_rated
from tests.reports.advice.waste import AT, END, MINUTE, START, call, costs, find, saved, work

# What a token of output costs with the model "plain" since its price changed, in femto-dollars.
PLAIN_OUTPUT = 10_000_000_007 * 4 // 3


@pytest.fixture
def prices(website: Project) -> None:
    set_prices()


# ── Conversations ──


def chat(name: str, prompts: list[int], **fields: Any) -> list[UsageEvent]:
    return [
        call(f"{name}{n}", AT + n * MINUTE, Usage(input=prompt, output=100), chat=name, **fields)
        for n, prompt in enumerate(prompts)
    ]


@pytest.mark.django_db
@pytest.mark.usefixtures("prices")
def test_history_beyond_the_memory_is_saved_at_what_the_prompt_cost(acme: Organization) -> None:
    prompts = [3_000, 9_001, 15_000, 20_003, 26_000, 33_337, 40_000, 47_000, 53_000]
    steady = chat("steady", [30_000] * 9)
    short = chat("short", prompts[:7])
    rated = write_rated(acme.pk, [*chat("c", prompts), *steady, *short])
    rows = {one.row.event_id: one.row for one in rated if one.row}
    (finding,) = find(acme, "long_chats")
    expected = {}
    for memory in MEMORIES:
        expected[memory] = [
            (rows[f"c{n}"].input_cost_nanos or 0) * max(0, prompt - memory) // prompt
            for n, prompt in enumerate(prompts)
        ]
    assert {piece.id: saved_nanos(piece) for piece in finding.pieces} == {
        f"c{n}": nanos for n, nanos in enumerate(expected[16_000]) if nanos
    }
    estimate = finding.estimate
    assert estimate is not None
    assert (estimate.low, estimate.likely, estimate.high) == tuple(sum(expected[memory]) for memory in MEMORIES)
    assert estimate.likely == saved(finding)
    assert 0 < estimate.low < estimate.likely < estimate.high
    assert "1 conversation grew to up to 53,000 tokens" in finding.text
    assert ("Conversations", f"c ({figures.money(estimate.likely)})") in finding.terms
    assert work(acme, "long_chats", finding.subject).nanos == saved(finding)


@pytest.mark.django_db
@pytest.mark.usefixtures("prices")
def test_conversations_are_named_by_their_titles_those_that_save_most_first(acme: Organization) -> None:
    grown = [3_000, 9_000, 15_000, 20_000, 25_000, 30_000, 35_000]
    titles = {f"c{n}": f"Chat {n} about {'x' * 90 * (n == 6)}" for n in range(1, 7)}
    titles |= {"c4": "Same", "c5": "Same"}
    events = [
        event
        for number, (name, title) in enumerate(titles.items())
        for event in chat(name, [*grown, 40_000 + 1_000 * number], chat_title=title, detail={"chat_title": title})
    ]
    write_rated(acme.pk, [*events, *chat("unnamed", [*grown, 90_000])])
    (finding,) = find(acme, "long_chats")
    told = dict(finding.terms)["Conversations"].split(", ")
    assert [one.rpartition(" (")[0] for one in told[:5]] == [
        "unnamed", f"Chat 6 about {'x' * 46}…", "Same [c5]", "Same [c4]", "Chat 3 about ",
    ]  # fmt: skip
    assert told[5:] == ["2 more"]


@pytest.mark.django_db
@pytest.mark.usefixtures("prices")
def test_what_is_no_history_cannot_be_cleared(acme: Organization) -> None:
    prompts = [20_000, 24_000, 28_000, 32_000, 36_000, 40_000, 44_000, 48_000]
    parts = {"input_parts": {"context": 4_000, "files": 10_000}}
    rated = write_rated(acme.pk, chat("c", prompts, detail=parts))
    rows = {one.row.event_id: one.row for one in rated if one.row}
    (finding,) = find(acme, "long_chats")
    # The first prompt stays whole, and of the others no more than the 4,000 tokens that the calls call context.
    assert {piece.id: saved_nanos(piece) for piece in finding.pieces} == {
        f"c{n}": (rows[f"c{n}"].input_cost_nanos or 0) * 4_000 // prompt for n, prompt in enumerate(prompts) if n
    }


@pytest.mark.django_db
@pytest.mark.usefixtures("prices")
def test_conversations_with_no_more_than_is_kept_are_no_waste(acme: Organization) -> None:
    write_rated(acme.pk, chat("c", list(range(1_000, 16_001, 1_000))))
    assert find(acme, "long_chats") == []


# ── Files ──


def sent(number: int, tokens: int = 12_000, prompt: int = 15_001, **fields: Any) -> UsageEvent:
    file = {"id": "report", "name": "Report.pdf", "tokens": tokens}
    given = {"detail": {"files": [file]}, "chat": f"c{number % 2}", **fields}
    return call(f"f{number}", AT + number * MINUTE, Usage(input=prompt, output=200), **given)


@pytest.mark.django_db
@pytest.mark.usefixtures("prices")
def test_a_summary_spares_its_part_of_each_share_and_costs_its_own_writing(acme: Organization) -> None:
    cost = costs(write_rated(acme.pk, [sent(n) for n in range(9)]))
    with organization_scope(acme.pk):
        uses = file_repeats(acme.pk, START, END)
        page = list_files(acme.pk, START, END, {})
    assert sum(use.share_nanos for use in uses) == page.totals.shares.known_cost_nanos
    (finding,) = find(acme, "large_files")
    first, again = uses[0], uses[1:]
    assert (first.event_id, len(again)) == ("f0", 8)

    def spared(percent: int) -> int:
        words = 12_000 * percent // 100
        written = first.share_nanos + nanos_from_femtos(words * PLAIN_OUTPUT)
        return sum(use.share_nanos * (100 - percent) // 100 for use in again) - written

    estimate = finding.estimate
    assert estimate is not None
    assert (estimate.low, estimate.likely, estimate.high) == tuple(map(spared, SUMMARIES))
    assert saved(finding) == estimate.likely > estimate.low > 0
    assert {piece.id: piece.now_nanos for piece in finding.pieces} == cost
    assert finding.title == "Summarize Report.pdf"
    assert "9 times, in 2 chats" in finding.text
    done = work(acme, "large_files", finding.subject)
    assert (done.units, done.nanos) == (9, sum(use.share_nanos for use in uses))


@pytest.mark.django_db
@pytest.mark.usefixtures("prices")
@pytest.mark.parametrize(
    "events",
    [
        [sent(n) for n in range(5)],
        [sent(n, tokens=4_999) for n in range(9)],
        # Passages that were looked up, not the file.
        [sent(n, detail={"files": [{"id": "r", "tokens": 12_000}], "input_parts": {"files": 9_000}}) for n in range(9)],
        [sent(n, status="error") for n in range(9)],
        [sent(n, model="free-one") for n in range(9)],
    ],
    ids=["five times", "small", "passages", "failed", "free"],
)
def test_files_that_are_few_small_in_parts_or_free_are_no_waste(acme: Organization, events: list[UsageEvent]) -> None:
    write_rated(acme.pk, events)
    assert find(acme, "large_files") == []


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=30), st.integers(5_000, 10**6), st.integers(0, 10**12))
def test_shorter_summaries_never_spare_less(shares: list[int], extracted: int, femtos: int) -> None:
    uses = [
        FileUse("e", AT, "f", "f", 0, 0, None, share, extracted, extracted, share, 1, 1, None, Usage())
        for share in shares
    ]
    spared = [
        sum(spared_nanos(use, percent) for use in uses) - summary_of(uses[0], percent, femtos).cost_nanos
        for percent in SUMMARIES
    ]
    assert spared == sorted(spared)
    assert all(0 <= spared_nanos(use, percent) <= use.share_nanos for use in uses for percent in SUMMARIES)
