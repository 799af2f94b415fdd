"""What an address asks, the rows that answer it, and the files that are written of them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import QueryDict

from accounts.models import Organization, User
from core.errors import ApiError
from core.tenancy import organization_scope
from metering.events import Usage
from metering.query.export import FORMATS
from reports.custom.definition import Report, report_of, said
from reports.custom.shown import cells, uncompared
from reports.custom.table import Line, ReportTable, change_of, first_lines, lines, totals
from reports.usage import Usage as UsagePage
from tests.cast import membership_of
from tests.metering.query.usage import make_event, write

# A Tuesday afternoon; October is over.
NOW = dt.datetime(2026, 11, 10, 14, tzinfo=dt.UTC)
OCTOBER = {"range": ["last-month"]}


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    events = [
        make_event("oct-1", at("2026-10-03T10:00"), "gpt-4o", Usage(input=1000, output=100), user=alice.email),
        make_event("oct-2", at("2026-10-31T22:30"), "gpt-4o", Usage(input=500, output=50), user=bob.email),
        make_event("oct-3", at("2026-10-20T10:00"), "claude", Usage(input=200, output=20), user=alice.email),
        make_event("oct-odd", at("2026-10-20T11:00"), "odd-1", Usage(input=7), user=alice.email),
        make_event("sep-1", at("2026-09-03T10:00"), "gpt-4o", Usage(input=400, output=40), user=alice.email),
        make_event("sep-2", at("2026-09-05T10:00"), "mistral", Usage(input=90, output=9), user=alice.email),
        make_event("first", at("2025-09-20T10:00"), "claude", Usage(input=50), user=alice.email),
        make_event("last-year", at("2025-10-03T10:00"), "claude", Usage(input=50, output=5), user=alice.email),
    ]
    write(acme.pk, events)


def asked(organization: Organization, user: User, **parameters: Sequence[str]) -> Report:
    membership = membership_of(user, organization)
    with organization_scope(organization.pk):
        return report_of(membership, {**OCTOBER, **parameters}, NOW)


def rows_of(report: Report) -> list[Line]:
    with organization_scope(report.organization.pk):
        return [line for page in lines(report.definition()) for line in page]


def refusal(organization: Organization, user: User, **parameters: Sequence[str]) -> ApiError:
    with pytest.raises(ApiError) as refused, organization_scope(organization.pk):
        report_of(membership_of(user, organization), {**OCTOBER, **parameters}, NOW).definition()
    return refused.value


def keys_of(found: Sequence[Line], dimension: str = "model") -> list[str | None]:
    return [line.group[dimension].key for line in found]


# ── Rows ──


def test_rows_are_in_the_order_asked_for(acme: Organization, alice: User, usage: None) -> None:
    assert keys_of(rows_of(asked(acme, alice, by=["model"]))) == ["gpt-4o", "claude", "odd-1"]
    assert keys_of(rows_of(asked(acme, alice, by=["model"], sort=["model"]))) == ["claude", "gpt-4o", "odd-1"]
    assert keys_of(rows_of(asked(acme, alice, by=["model"], sort=["total_tokens"], limit=["2"]))) == ["odd-1", "claude"]


def test_by_time_and_dimension(acme: Organization, alice: User, usage: None) -> None:
    found = rows_of(asked(acme, alice, by=["model", "member"], every=["day"], metric=["requests"]))
    assert [(line.start, *(group.key for group in line.group.values())) for line in found] == [
        (at("2026-10-02T22:00"), "gpt-4o", alice_key(alice)),
        (at("2026-10-19T22:00"), "claude", alice_key(alice)),
        (at("2026-10-19T22:00"), "odd-1", alice_key(alice)),
        (at("2026-10-30T23:00"), "gpt-4o", "bob@acme.test"),
    ]


def alice_key(alice: User) -> str:
    return alice.email


def test_the_preview_is_the_files_beginning(acme: Organization, alice: User, usage: None) -> None:
    for parameters in (
        {"by": ["model"]},
        {"by": ["model"], "every": ["week"]},
        {"by": ["model"], "against": ["before"], "sort": ["-requests_change"]},
        {"by": ["model"], "limit": ["1"]},
        {"every": ["week"], "against": ["year"]},
        {},
    ):
        report = asked(acme, alice, **parameters)
        with organization_scope(acme.pk):
            assert first_lines(report.definition(), 2) == rows_of(report)[:2]


def test_totals_are_the_usage_pages(acme: Organization, alice: User, bob: User, usage: None) -> None:
    for user, parameters in ((alice, {}), (alice, {"model": ["gpt-4o"]}), (bob, {})):
        report = asked(acme, user, by=["model"], **parameters)
        given = QueryDict(urlencode({**OCTOBER, **parameters}, doseq=True))
        with organization_scope(acme.pk):
            page = UsagePage.seen_by(acme, membership_of(user, acme), given, NOW)
            assert totals(report.definition()).now == page.run().totals


# ── Comparing ──


def test_rows_stand_beside_those_of_the_period_before(acme: Organization, alice: User, usage: None) -> None:
    found = rows_of(asked(acme, alice, by=["model"], against=["before"], metric=["total_tokens", "cost_usd"]))
    told = {line.group["model"].key: change_of("total_tokens", line) for line in found}
    assert {name: (one.now, one.before, one.difference, one.percent) for name, one in told.items()} == {
        "gpt-4o": (1650, 440, 1210, 275.0),
        "claude": (220, 0, 220, None),
        "odd-1": (7, 0, 7, None),
        "mistral": (0, 99, -99, -100.0),
    }
    odd = next(line for line in found if line.group["model"].key == "odd-1")
    assert change_of("cost_usd", odd).now is None
    assert change_of("cost_usd", odd).difference is None


def test_a_year_before(acme: Organization, alice: User, usage: None) -> None:
    found = rows_of(asked(acme, alice, by=["model"], against=["year"], metric=["requests"], sort=["model"]))
    assert [(line.group["model"].key, line.now.requests, line.before and line.before.requests) for line in found] == [
        ("claude", 1, 1), ("gpt-4o", 2, 0), ("odd-1", 1, 0),
    ]  # fmt: skip


def test_buckets_stand_beside_those_of_the_same_number(acme: Organization, alice: User, usage: None) -> None:
    found = rows_of(asked(acme, alice, every=["day"], against=["before"], metric=["requests"]))
    told = {line.start: (line.now.requests, line.before and line.before.requests) for line in found}
    assert len(told) == 31, "a day without usage is a row, too"
    assert {start: pair for start, pair in told.items() if pair != (0, 0)} == {
        at("2026-10-02T22:00"): (1, 1),
        at("2026-10-04T22:00"): (0, 1),
        at("2026-10-19T22:00"): (2, 0),
        # September has no 31st.
        at("2026-10-30T23:00"): (1, None),
    }
    assert list(told) == sorted(told)


def test_before_the_range_has_begun_nothing_is_compared(acme: Organization, alice: User, usage: None) -> None:
    report = asked(
        acme, alice, **{"range": ["custom"], "from": ["2027-01-01"], "to": ["2027-01-02"]}, against=["before"]
    )
    with organization_scope(acme.pk):
        assert totals(report.definition()).before is None


def test_weeks_at_the_ends_of_a_month_are_parts(acme: Organization, alice: User, usage: None) -> None:
    report = asked(acme, alice, every=["week"], against=["before"], metric=["requests"])
    with organization_scope(acme.pk):
        definition = report.definition()
    shown = [[cell["text"] for cell in cells(definition, line)] for line in rows_of(report)]
    assert shown == [
        ["1 Oct to 4 Oct 2026", "1", "—", "—"],
        ["5 Oct to 11 Oct 2026", "0", "0", "0"],
        ["12 Oct to 18 Oct 2026", "0", "0", "0"],
        ["19 Oct to 25 Oct 2026", "2", "0", "+2"],
        ["26 Oct to 31 Oct 2026", "1", "—", "—"],
    ]
    assert uncompared(definition) == ["A week that is not as long as the other period's is not compared."]


def test_so_far_is_compared_with_as_much(acme: Organization, alice: User, usage: None) -> None:
    write(acme.pk, [make_event("nov", at("2026-11-10T09:00"), "gpt-4o", Usage(input=1), user=alice.email)])
    report = asked(acme, alice, range=["month"], every=["day"], against=["before"], metric=["requests"])
    told = {line.start: (line.now.requests, line.before and line.before.requests) for line in rows_of(report)}
    assert told[at("2026-11-09T23:00")] == (1, 0)
    assert {pair for start, pair in told.items() if start > NOW} <= {(0, None)}
    with organization_scope(acme.pk):
        assert uncompared(report.definition()) == []


def test_what_is_before_the_record_is_unknown(acme: Organization, alice: User, usage: None) -> None:
    """The first event is of 20 September 2025."""
    september = {"range": ["custom"], "from": ["2026-09-01"], "to": ["2026-10-01"]}
    report = asked(acme, alice, **september, every=["day"], against=["year"], metric=["requests"])
    told = [line.before and line.before.requests for line in rows_of(report)]
    assert told == [None] * 19 + [1] + [0] * 10
    with organization_scope(acme.pk):
        definition = report.definition()
        assert totals(definition).before is None
        assert uncompared(definition) == [
            "Usage is recorded since 20 Sep 2025; what begins before that is not compared."
        ]
        table = ReportTable(definition, lambda *_: None)
    assert table.about["recorded_since"].startswith("2025-09-20")
    (line,) = rows_of(asked(acme, alice, **september, by=["member"], against=["year"], metric=["requests"]))
    assert (line.now.requests, line.before) == (2, None)


# ── What makes no sense ──


@pytest.mark.parametrize(
    ("parameters", "param", "words"),
    [
        ({"by": ["nonsense"]}, "by", "no dimension"),
        ({"by": ["model", "model"]}, "by", "twice"),
        ({"by": ["model", "team", "project", "feature", "tool", "status", "provider"]}, "by", "at most 6"),
        ({"metric": ["nonsense"]}, "metric", "no metric"),
        ({"metric": ["requests", "requests"]}, "metric", "twice"),
        ({"every": ["minute"]}, "every", "every is one of"),
        ({"against": ["tomorrow"]}, "against", "against is one of"),
        ({"sort": ["-latency"]}, "sort", "no such order"),
        ({"sort": ["start"]}, "sort", "no such order"),
        ({"limit": ["0"]}, "limit", "rows"),
        ({"limit": ["10001"]}, "limit", "rows"),
        ({"range": ["last-year"], "every": ["15m"]}, "interval", "at most 31 days"),
        ({"range": ["nonsense"]}, "range", "no range"),
        ({"colour": ["red"]}, "colour", "no dimension"),
    ],
)
def test_nonsense_is_refused_in_words(
    acme: Organization, alice: User, parameters: Mapping[str, list[str]], param: str, words: str
) -> None:
    refused = refusal(acme, alice, **parameters)
    assert (refused.status, refused.param) == (422, param)
    assert words in refused.message


# ── Whose ──


def test_everybody_gets_what_they_may_see(acme: Organization, alice: User, bob: User, vera: User, usage: None) -> None:
    assert keys_of(rows_of(asked(acme, vera, by=["model"]))) == ["gpt-4o", "claude", "odd-1"]
    own = rows_of(asked(acme, bob, by=["model"], member=["alice@acme.test"]))
    assert [(line.group["model"].key, line.now.total_tokens) for line in own] == [("gpt-4o", 550)]
    assert refusal(acme, vera, by=["api_key"]).status == 403
    assert refusal(acme, vera, api_key=["tl_x"]).status == 403
    assert refusal(acme, bob, by=["user"]).status == 403
    assert asked(acme, alice, by=["api_key"]).rights
    assert asked(acme, alice, api_key=["tl_12345678"]).rights
    assert not asked(acme, alice, model=["gpt-4o"]).rights
    assert asked(acme, bob).scope == ("member", membership_of(bob, acme).pk)


# ── Files ──


def written(report: Report, file_format: str) -> tuple[bytes, list[tuple[int, int | None]]]:
    told: list[tuple[int, int | None]] = []
    with organization_scope(report.organization.pk):
        table = ReportTable(report.definition(), lambda rows, estimated: told.append((rows, estimated)))
        return b"".join(FORMATS[file_format].write(table)), told


def test_a_comparison_as_a_file(acme: Organization, alice: User, usage: None) -> None:
    report = asked(acme, alice, by=["model"], against=["before"], metric=["cost_usd"], sort=["-cost_usd"], limit=["2"])
    content, told = written(report, "csv")
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert [list(row.values()) for row in rows] == [
        ["gpt-4o", "0.00525255", "0.00140068", "0.00385187", "275.0"],
        ["claude", "0.00070034", "0", "0.00070034", ""],
    ]
    assert list(rows[0]) == ["model", "cost_usd", "cost_usd_before", "cost_usd_change", "cost_usd_change_percent"]
    assert told == [(2, 2)]


def test_every_format_writes_the_same_rows(acme: Organization, alice: User, usage: None) -> None:
    report = asked(acme, alice, by=["model"], every=["month"], metric=["requests", "total_tokens"])
    answer: dict[str, Any] = json.loads(written(report, "json")[0])
    assert answer["data"] == [
        {"timestamp": "2026-09-30T22:00:00Z", "model": "claude", "requests": 1, "total_tokens": 220},
        {"timestamp": "2026-09-30T22:00:00Z", "model": "gpt-4o", "requests": 2, "total_tokens": 1650},
        {"timestamp": "2026-09-30T22:00:00Z", "model": "odd-1", "requests": 1, "total_tokens": 7},
    ]
    assert written(report, "parquet")[0].startswith(b"PAR1")
    assert written(report, "xlsx")[0].startswith(b"PK")


def test_said_in_one_line() -> None:
    parameters = {
        "range": ["last-month"], "by": ["team", "model"], "metric": ["cost_usd"], "every": ["week"],
        "against": ["year"], "model": ["gpt-4o"],
    }  # fmt: skip
    assert said(parameters) == (
        "Last month · by team, model · Cost · every week · against a year before · Model gpt-4o"
    )


def test_which_keys_it_is_filtered_by_is_told_to_who_sees_keys() -> None:
    parameters = {"api_key": ["tl_12345678"], "model": ["o3"]}
    assert "API key tl_12345678" in said(parameters)
    assert said(parameters, {"api_key"}).endswith("API key not shown · Model o3")


def test_fixed_days_are_told_with_the_last_one() -> None:
    parameters = {"range": ["custom"], "from": ["2026-09-03T00:00"], "to": ["2026-10-17T00:00"]}
    assert said(parameters).startswith("3 Sep – 16 Oct 2026 · ")
    assert said({"from": ["then"], "to": ["now"]}).startswith("then to now · ")
