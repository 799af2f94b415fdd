from __future__ import annotations

import datetime as dt
from fractions import Fraction

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization
from billing.reconciliation.compare import Comparison, Verdict, compare, reconcile
from billing.reconciliation.reading import read_statement
from billing.reconciliation.statement import Stated, Statement
from core.tenancy import organization_scope
from metering.events import Usage, UsageEvent
from metering.query.metrics import Figures
from tests.metering.query.usage import make_event
from tests.reports.priced import set_prices, write_priced

from . import exports

ONE_PERCENT = Fraction(1, 100)
DAY = dt.date(2026, 11, 1)
START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def stated(model: str = "gpt-4o", *, hours: int = 24, **figures: int) -> Statement:
    return Statement("openai", (Stated(START, START + dt.timedelta(hours=hours), model, **figures),))


def verdict(statement: Statement, figures: Figures | None) -> Verdict:
    ledger = {(DAY, "gpt-4o"): figures} if figures else {}
    (row,) = compare(statement, ledger, ONE_PERCENT).rows
    return row.verdict


@pytest.mark.parametrize(
    ("statement", "ours", "expected"),
    [
        (stated(tokens=1_000_000), Figures(requests=9, input=1_000_000), Verdict.AGREES),
        (stated(tokens=1_000_000), Figures(requests=9, input=990_000), Verdict.AGREES),
        (stated(tokens=1_000_000), Figures(requests=9, input=989_999), Verdict.DIFFERS),
        (stated(tokens=900), Figures(), Verdict.AGREES),
        (stated(tokens=900_000), None, Verdict.DIFFERS),
        (stated(cost_nanos=5 * 10**9), None, Verdict.COST_WITHOUT_USAGE),
        (stated(cost_nanos=5 * 10**9), Figures(requests=1, known_cost_nanos=5 * 10**9), Verdict.AGREES),
        (stated(cost_nanos=5 * 10**9), Figures(requests=1, unpriced_requests=1), Verdict.DIFFERS),
        (stated(cost_nanos=0), Figures(requests=1, known_cost_nanos=5 * 10**9), Verdict.USAGE_WITHOUT_COST),
        (stated(cost_nanos=5 * 10**9, hours=10), None, Verdict.PARTIAL),
    ],
)
def test_verdicts(statement: Statement, ours: Figures | None, expected: Verdict) -> None:
    assert verdict(statement, ours) is expected


def test_what_only_the_ledger_has_is_found_too() -> None:
    comparison = compare(
        stated(cost_nanos=10**9),
        {
            (DAY, "gpt-4o"): Figures(requests=1, known_cost_nanos=10**9),
            (DAY, "o3"): Figures(requests=2, known_cost_nanos=10**9),
        },
        ONE_PERCENT,
    )
    assert [(row.model, row.verdict) for row in comparison.rows] == [
        ("gpt-4o", Verdict.AGREES),
        ("o3", Verdict.USAGE_WITHOUT_COST),
    ]
    assert comparison.total("ours").cost_nanos == 2 * 10**9
    assert comparison.total("stated").tokens is None, "this export does not speak of tokens"


def called(number: int, at: dt.datetime, model: str = "gpt-4o-2024-08-06", tokens: int = 1_000_000) -> UsageEvent:
    return make_event(f"e{number}", at, model, Usage(input=tokens), provider="openai")


@pytest.fixture
def ledger(acme: Organization) -> int:
    set_prices()
    late_in_berlin = START + dt.timedelta(hours=23, minutes=30)
    write_priced(acme.pk, [called(1, START), called(2, late_in_berlin), called(3, START, tokens=1_500_150)])
    return acme.pk


def reconciled(organization_id: int, export: str) -> Comparison:
    with organization_scope(organization_id):
        return reconcile(organization_id, read_statement(export.encode()), ONE_PERCENT)


def test_the_ledger_meets_an_export_on_days_of_utc(ledger: int) -> None:
    """In Berlin the second call was on the next day; the provider bills it on the first."""
    rows = reconciled(ledger, exports.OPENAI_USAGE_CSV).rows
    assert [(row.day, row.model, row.ours.tokens, row.verdict) for row in rows] == [
        (DAY, "gpt-4o", 3_500_150, Verdict.AGREES)
    ]
    assert rows[0].tokens_difference == 0


def test_other_providers_and_organizations_stay_out(ledger: int, globex: Organization) -> None:
    assert [row.ours.requests for row in reconciled(ledger, exports.ANTHROPIC_USAGE_CSV).rows] == [0]
    rows = reconciled(globex.pk, exports.OPENAI_USAGE_CSV).rows
    assert [row.ours.requests for row in rows] == [0]


def test_queries_do_not_grow_with_the_export(ledger: int) -> None:
    def queries(export: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            reconciled(ledger, export)
        return len(captured)

    many = exports.OPENAI_USAGE_CSV + "".join(
        line.replace("gpt-4o-2024-08-06", f"model-{number}")
        for number in range(50)
        for line in exports.OPENAI_USAGE_CSV.splitlines(keepends=True)[1:2]
    )
    assert queries(exports.OPENAI_USAGE_CSV) == queries(many)
