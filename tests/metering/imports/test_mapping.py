"""From rows to documents."""

import datetime as dt
from typing import Any

import pytest

from metering.imports.fields import CellError, Clock, status, time, usage_count
from metering.imports.mapping import ColumnMap, MappingError, RowError, Writer, check, value_at
from metering.normalize import normalize

UTC = dt.UTC
PLAIN = ColumnMap(
    columns=(
        ("at", "occurred_at"),
        ("model", "model"),
        ("in", "usage.prompt_tokens"),
        ("out", "usage.completion_tokens"),
    )
)


def document(mapping: ColumnMap, values: dict[str, Any], project: str | None = None) -> dict[str, Any]:
    return Writer(mapping, project).document(values)[0]


def test_columns_become_fields() -> None:
    values = {"at": "2026-11-21T12:00:00Z", "model": " gpt-4o ", "in": "25", "out": "100", "note": "left out"}
    assert document(PLAIN, values) == {
        "occurred_at": dt.datetime(2026, 11, 21, 12, tzinfo=UTC),
        "model": "gpt-4o",
        "usage": {"prompt_tokens": 25, "completion_tokens": 100},
    }


def test_empty_cells_say_nothing_and_no_tokens_at_all_are_unknown() -> None:
    values = {"at": "2026-11-21T12:00:00Z", "model": "gpt-4o", "in": "", "out": ""}
    assert document(PLAIN, values)["usage"] is None
    assert document(PLAIN, {**values, "in": "0"})["usage"] == {"prompt_tokens": 0}


def test_cached_tokens_are_a_part_of_the_prompt() -> None:
    mapping = ColumnMap(columns=(*PLAIN.columns, ("cached", "usage.prompt_tokens_details.cached_tokens")))
    usage = document(mapping, {"at": "2026-11-21", "model": "m", "in": "100", "out": "7", "cached": "60"})["usage"]
    counted = normalize(usage).usage
    assert counted is not None
    assert (counted.input, counted.cache_read, counted.output, counted.prompt_tokens) == (40, 60, 7, 100)


def test_constants_stand_where_a_row_says_nothing() -> None:
    mapping = ColumnMap(
        columns=PLAIN.columns,
        constants=(("model", "gpt-4"), ("id", "{session}/{seq}"), ("tags.file", "a{{b}}"), ("provider", "openai")),
    )
    values = {"at": "2026-11-21", "model": "", "in": "1", "out": "1", "session": "s1", "seq": "4"}
    made = document(mapping, values, "web{site}")
    assert (made["model"], made["id"], made["tags"], made["project"]) == (
        "gpt-4",
        "s1/4",
        {"file": "a{b}"},
        "web{site}",
    )
    assert document(mapping, {**values, "model": "gpt-4o"})["model"] == "gpt-4o"


def test_objects_are_reached_into_also_inside_of_cells() -> None:
    assert value_at({"a": {"b": {"c": 1}}}, "a.b.c") == 1
    assert value_at({"meta": '{"usage": {"n": 2}}'}, "meta.usage.n") == 2
    assert value_at({"a.b": 3}, "a.b") == 3
    assert value_at({"meta": "{broken"}, "meta.n") is None


def test_the_first_column_that_has_a_value_gives_the_field() -> None:
    mapping = ColumnMap(columns=(("name", "model"), ("group", "model"), ("at", "occurred_at"), ("in", "usage.input")))
    values = {"name": "", "group": "gpt-4o", "at": "2026-11-21", "in": "1"}
    assert document(mapping, values)["model"] == "gpt-4o"
    assert document(mapping, {**values, "name": "gpt-4"})["model"] == "gpt-4"


def test_durations_come_from_seconds_or_from_two_times() -> None:
    mapping = ColumnMap(columns=(*PLAIN.columns, ("end", "ended_at"), ("first", "first_token_at"), ("s", "duration_s")))
    values = {"at": "2026-11-21T12:00:00Z", "model": "m", "in": "1", "out": "1"}
    made = document(mapping, {**values, "end": "2026-11-21T12:00:02.5Z", "first": "2026-11-21T12:00:00.125Z"})
    assert (made["duration_ms"], made["time_to_first_token_ms"]) == (2500, 125)
    assert document(mapping, {**values, "s": "7.27"})["duration_ms"] == pytest.approx(7270)
    assert "duration_ms" not in document(mapping, {**values, "end": "2026-11-21T11:00:00Z"})


@pytest.mark.parametrize(
    ("column", "value", "code", "field"),
    [
        ("in", "1,234", "invalid_count", "usage.prompt_tokens"),
        ("in", "many", "invalid_count", "usage.prompt_tokens"),
        ("in", "1_000", "invalid_count", "usage.prompt_tokens"),
        ("in", "nan", "invalid_count", "usage.prompt_tokens"),
        ("at", "11/21/2026", "invalid_time", "occurred_at"),
        ("at", "1e30", "invalid_time", "occurred_at"),
    ],
)
def test_a_cell_that_does_not_fit_is_named(column: str, value: str, code: str, field: str) -> None:
    values = {"at": "2026-11-21", "model": "m", "in": "1", "out": "1", column: value}
    with pytest.raises(RowError) as caught:
        document(PLAIN, values)
    assert (caught.value.code, caught.value.field, caught.value.column, caught.value.value) == (
        code,
        field,
        column,
        value,
    )


# ── Times ──


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T12:00:00.123Z", dt.datetime(2026, 11, 21, 12, 0, 0, 123_000, tzinfo=UTC)),
        ("2026-11-21 12:00:00+05:45", dt.datetime(2026, 11, 21, 6, 15, tzinfo=UTC)),
        ("2023-11-16 18:15:46.6805900", dt.datetime(2023, 11, 16, 18, 15, 46, 680_590, tzinfo=UTC)),
        ("2026-11-21 12:00:00 UTC", dt.datetime(2026, 11, 21, 12, tzinfo=UTC)),
        ("1795262400", dt.datetime(2026, 11, 21, 12, tzinfo=UTC)),
        (1795262400123, dt.datetime(2026, 11, 21, 12, 0, 0, 123_000, tzinfo=UTC)),
        ("1795262400123456", dt.datetime(2026, 11, 21, 12, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_times_are_recognized(text: Any, expected: dt.datetime) -> None:
    assert time(text, ColumnMap().clock) == expected


def test_times_without_a_zone_are_in_the_files_zone() -> None:
    berlin = ColumnMap(zone_name="Europe/Berlin").clock
    assert time("2026-07-01 12:00:00", berlin) == dt.datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert time("2026-07-01 12:00:00Z", berlin) == dt.datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_milliseconds_are_said_to_be_such() -> None:
    mapping = ColumnMap(columns=(("ms", "occurred_at_ms"), ("model", "model"), ("in", "usage.input")))
    values = {"ms": "3000", "model": "m", "in": "1"}
    started = ColumnMap(mapping.columns, start=dt.datetime(2026, 11, 1, tzinfo=UTC))
    assert document(started, values)["occurred_at"] == dt.datetime(2026, 11, 1, 0, 0, 3, tzinfo=UTC)
    since_1970 = document(mapping, {**values, "ms": "1795262400123"})
    assert since_1970["occurred_at"] == dt.datetime(2026, 11, 21, 12, 0, 0, 123_000, tzinfo=UTC)


def test_numbers_count_from_the_start_when_there_is_one() -> None:
    clock = ColumnMap(start=dt.datetime(2026, 11, 1, tzinfo=UTC)).clock
    assert time("134.227", clock) == dt.datetime(2026, 11, 1, 0, 2, 14, 227_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("success", "ok"), ("FAILURE", "error"), ("200", "ok"), (429, "rate_limited"), ("504", "timeout"), (500, "error")],
)
def test_other_tools_words_for_a_status(value: Any, expected: str) -> None:
    assert status(value, Clock(ColumnMap().clock.zone)) == expected


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(CellError):
        status("perhaps", ColumnMap().clock)


def test_counts_may_come_as_floats_that_are_whole() -> None:
    assert usage_count("16564.0", ColumnMap().clock) == 16564
    assert usage_count("12.4", ColumnMap().clock) == 12.4


# ── Rows that sum up calls ──


def test_a_row_may_stand_for_several_calls() -> None:
    mapping = ColumnMap(columns=(*PLAIN.columns, ("n", "requests"), ("batch", "is_batch")))
    values = {"at": "2026-11-21", "model": "m", "in": "10", "out": "0", "n": "3", "batch": "True"}
    made, requests = Writer(mapping).document(values)
    assert (requests, made["service_tier"]) == (3, "batch")
    assert Writer(mapping).document({**values, "in": "", "n": "0"})[1] == 0
    with pytest.raises(RowError, match="no calls"):
        Writer(mapping).document({**values, "n": "0"})
    with pytest.raises(RowError, match="at most"):
        Writer(mapping).document({**values, "n": "100001"})


# ── Checking ──


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        (ColumnMap(columns=(("a", "modle"),)), "Is it model"),
        (ColumnMap(columns=(("zz", "model"),)), "no column zz"),
        (ColumnMap(columns=(("a", "occurred_at"), ("b", "usage.input"))), "gives the model"),
        (ColumnMap(columns=(("a", "model"), ("b", "usage.input"))), "gives the time"),
        (ColumnMap(columns=(("a", "model"), ("b", "occurred_at"))), "gives tokens"),
        (ColumnMap(columns=(("a", "usage.input"), ("b", "usage.prompt_tokens"))), "one kind"),
        (ColumnMap(columns=(("a", "usage"), ("b", "usage.prompt_tokens"))), "choose one"),
        (ColumnMap(constants=(("id", "{zz}"),)), "no column zz"),
        (ColumnMap(only=(("zz", "x"),)), "no column zz"),
        (ColumnMap(zone_name="Mars/Olympus"), "IANA"),
    ],
)
def test_mappings_that_cannot_work_are_refused_before_a_row_is_read(mapping: ColumnMap, words: str) -> None:
    with pytest.raises(MappingError, match=words):
        check(mapping, ("a", "b"))


def test_a_working_mapping_passes() -> None:
    check(PLAIN, ("at", "model", "in", "out"))
