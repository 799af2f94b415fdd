"""Who is let in: a model of one sentence, held against the code by whatever hypothesis thinks of."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from metering.limits.decide import Claim, Key, decide
from metering.limits.rules import Rule, Span
from metering.limits.standing import Standing

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
SPAN = Span(dt.date(2026, 11, 1), dt.date(2026, 12, 1), NOW, NOW)
ANY = (0, 0, 0, 0, 0, "", "")

amounts = st.one_of(st.none(), st.integers(0, 40))
rules = st.builds(
    lambda number, unit: Rule(number, "budget", f"limit {number}", unit, 1, "month", None, None, ANY),
    st.integers(1, 4),
    st.sampled_from(["tokens", "cost"]),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Claim], dict[Key, Standing]]:
    limits = draw(st.lists(rules, max_size=4, unique_by=lambda rule: rule.id))
    standings = {
        (rule.id, SPAN.starts_on): Standing(
            rule, SPAN, draw(amounts), draw(st.integers(0, 30)), draw(st.integers(0, 15))
        )
        for rule in limits
    }
    claims = []
    for number in range(draw(st.integers(0, 8))):
        is_free = draw(st.booleans())
        mine = draw(st.lists(st.sampled_from(limits), unique_by=lambda rule: rule.id)) if limits else []
        claims.append(
            Claim(
                uuid.UUID(int=number), 1, f"e{number}", "gateway", NOW, 60.0, ANY, draw(st.integers(0, 12)),
                0 if is_free else draw(st.integers(0, 12)), is_free, b"", b"", tuple((rule, SPAN) for rule in mine),
            )
        )  # fmt: skip
    return claims, standings


@given(situations())
def test_nothing_is_let_in_beyond_a_limit_and_nothing_refused_that_fits(
    situation: tuple[list[Claim], dict[Key, Standing]],
) -> None:
    claims, before = situation
    verdicts = decide(claims, before)
    taken: dict[Key, int] = defaultdict(int)
    for claim, verdict in zip(claims, verdicts, strict=True):
        left = {
            key: None
            if before[key].amount is None
            else before[key].amount - before[key].used - before[key].held - taken[key]  # type: ignore[operator]
            for key in claim.keys
        }
        needs = {key: claim.needs(before[key].rule.unit) for key in claim.keys}
        blocked = {key for key in claim.keys if before[key].amount == 0}
        short = {
            key for key, room in left.items() if room is not None and needs[key] > 0 and needs[key] > room
        } | blocked
        assert {(one.rule.id, one.span.starts_on) for one in verdict.short} == short
        if not short:
            for key in claim.keys:
                taken[key] += claim.takes(before[key].rule.unit)
        for standing in verdict.standings:
            key = (standing.rule.id, standing.span.starts_on)
            assert standing.held == before[key].held + taken[key]
    for key, amount in taken.items():
        limit = before[key].amount
        if limit is not None and amount:
            assert before[key].used + before[key].held + amount <= limit


@given(situations())
def test_in_groups_as_one_by_one(situation: tuple[list[Claim], dict[Key, Standing]]) -> None:
    """How claims are grouped into transactions makes no difference."""
    claims, standings = situation
    together = decide(claims, standings)
    apart = []
    for claim in claims:
        (verdict,) = decide([claim], standings)
        apart.append(verdict)
        if not verdict.short:
            standings |= {(one.rule.id, one.span.starts_on): one for one in verdict.standings}
    assert apart == together
