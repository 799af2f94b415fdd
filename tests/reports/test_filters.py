from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict

from core.errors import ApiError
from metering.query.ranges import Span
from reports.filters import Chosen, period_words

BERLIN = ZoneInfo("Europe/Berlin")
NOW = dt.datetime(2026, 11, 20, 14, 30, tzinfo=dt.UTC)


def chosen(text: str, zone: ZoneInfo = BERLIN) -> Chosen:
    return Chosen.read(
        "/o/acme/overview", QueryDict(text), zone, NOW, default_range="month", measures=("tokens", "cost")
    )


def test_without_a_choice_it_is_this_month_by_day_against_the_one_before() -> None:
    view = chosen("")
    assert (view.range.key, view.interval, view.measure, view.is_compared) == ("month", "day", "tokens", True)
    assert view.range.start == dt.datetime(2026, 10, 31, 23, tzinfo=dt.UTC)


def test_links_keep_what_they_do_not_change() -> None:
    view = chosen("range=7d&model=gpt-4o&model=o3")
    assert view.url(interval="hour") == "/o/acme/overview?range=7d&model=gpt-4o&model=o3&interval=hour"
    assert view.url(model=None) == "/o/acme/overview?range=7d"
    assert view.filtered_url("project", None) == "/o/acme/overview?range=7d&model=gpt-4o&model=o3&project=none"


def test_filters_become_the_query_and_none_means_without() -> None:
    query = chosen("model=gpt-4o&project=none").query(7)
    assert query.filters == {"model": ("gpt-4o",), "project": (None,)}


def test_a_custom_range_is_read_in_the_organizations_zone() -> None:
    view = chosen("from=2026-11-01T10:15&to=2026-11-02T08:00")
    assert view.range.start == dt.datetime(2026, 11, 1, 9, 15, tzinfo=dt.UTC)
    assert view.bar({})["range"]["custom"]["from"] == "2026-11-01T10:15"


@pytest.mark.parametrize(
    ("text", "param"),
    [
        ("range=fortnight", "range"),
        ("from=yesterday&to=2026-11-02T08:00", "from"),
        ("from=2026-11-02T08:00", "to"),
        ("from=2026-11-02T08:00&to=2026-11-01T08:00", "to"),
        ("from=0001-01-01&to=2026-11-01", "from"),
        ("from=2026-11-01&to=9999-12-31T23:59", "to"),
        ("measure=joy", "measure"),
        ("colour=red", "colour"),
        ("interval=bar", "interval"),
        ("compare=x", "compare"),
    ],
)
def test_nonsense_is_refused_by_name(text: str, param: str) -> None:
    with pytest.raises(ApiError) as refused:
        chosen(text)
    assert (refused.value.status, refused.value.param) == (422, param)


def test_an_interval_the_range_does_not_have_gives_way() -> None:
    assert chosen("range=today&interval=month").interval == "hour"


def test_periods_in_words() -> None:
    def span(start: str, end: str) -> Span:
        return Span(dt.datetime.fromisoformat(start), dt.datetime.fromisoformat(end))

    assert period_words(span("2026-10-31T23:00Z", "2026-11-20T23:00Z"), BERLIN) == "1–20 Nov 2026"
    assert period_words(span("2026-10-31T23:00Z", "2026-11-20T14:30Z"), BERLIN) == "1–20 Nov 2026"
    assert period_words(span("2026-09-30T22:00Z", "2026-11-20T23:00Z"), BERLIN) == "1 Oct – 20 Nov 2026"
    assert period_words(span("2025-12-31T23:00Z", "2026-01-01T23:00Z"), BERLIN) == "1 Jan 2026"
    assert period_words(span("2026-11-20T09:15Z", "2026-11-20T11:00Z"), BERLIN) == "20 Nov 2026, 10:15 to 12:00"
