"""Findings of an organization: written by the write path, judged at a moment, explained to the last token."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import APIKey, Organization
from alerts.detection.finding import Finding, Kind
from alerts.detection.judging import judge
from alerts.detection.measures import Measure
from metering.directory import Directory
from metering.pipeline import Sender
from tests.alerts.detection.usage import BERLIN, DAY, HOUR, NOW, hour_events, office_hours, usual
from tests.cast import make_key, membership_of
from tests.metering.query.usage import make_event, write, write_with


@pytest.fixture
def batch(acme: Organization) -> APIKey:
    return make_key(acme, name="Batch").row


def sent_by(key: APIKey) -> Sender:
    return Sender(api_key_id=key.pk)


def of_kind(findings: Sequence[Finding], kind: Kind) -> list[Finding]:
    return [finding for finding in findings if finding.kind is kind]


def assert_sums(finding: Finding) -> None:
    for breakdown in finding.parts:
        assert sum(part.difference for part in breakdown.parts) + breakdown.remainder == finding.difference


def test_usual_usage_has_no_findings(acme: Organization) -> None:
    write(acme.pk, usual())
    assert judge(acme, NOW) == []


def test_before_the_first_event_there_is_nothing_to_find(acme: Organization) -> None:
    assert judge(acme, NOW) == []


def test_a_burst_is_found_with_its_range_and_the_key_that_drove_it(acme: Organization, batch: APIKey) -> None:
    write(acme.pk, usual())
    write(acme.pk, list(hour_events(NOW - HOUR, 20, name="burst")), sent_by(batch))
    findings = judge(acme, NOW)
    whole = findings[0]
    assert (whole.kind, whole.scope, whole.within) == (Kind.UNUSUAL, "organization", None)
    assert whole.measure is Measure.COST or whole.measure is Measure.TOKENS
    tokens = next(one for one in findings if one.scope == "organization" and one.measure is Measure.TOKENS)
    assert (tokens.period_start, tokens.period_end) == (NOW - HOUR, NOW)
    assert (tokens.actual, tokens.expected, tokens.basis) == (230_000, 30_000, "hour of week")
    assert tokens.low is not None
    assert tokens.high is not None
    assert tokens.low <= 30_000 <= tokens.high < tokens.actual
    assert tokens.score is not None
    assert tokens.score > 1
    by_key = next(one for one in tokens.parts if one.dimension == "api_key")
    assert [(part.label, part.actual, part.expected) for part in by_key.parts] == [
        ("Batch", 200_000, 0),
        ("none", 30_000, 30_000),
    ]
    assert "from 13:00 to 14:00 on Wed 18 Nov, more than the 2" in tokens.text
    assert "Key Batch makes 200.0K tokens of the difference" in tokens.text
    for finding in findings:
        assert_sums(finding)
    narrow = [one for one in findings if one.scope != "organization" and one.kind is Kind.UNUSUAL]
    assert narrow
    assert all(one.within for one in narrow)


def test_the_same_is_found_again_and_later_usage_changes_nothing(acme: Organization, batch: APIKey) -> None:
    write(acme.pk, usual())
    write(acme.pk, list(hour_events(NOW - HOUR, 20, name="burst")), sent_by(batch))
    before = judge(acme, NOW)
    assert before == judge(acme, NOW)
    write(acme.pk, list(hour_events(NOW + HOUR, 50, name="later")))
    write(acme.pk, list(hour_events(NOW, 50, name="after")))
    assert judge(acme, NOW) == before


def test_a_course_is_one_finding_until_it_is_over(acme: Organization) -> None:
    write(acme.pk, usual())
    for hours in (0, 1):
        write(acme.pk, list(hour_events(NOW + hours * HOUR, 20, name="burst")))
    write(acme.pk, list(hour_events(NOW + 2 * HOUR, 3)))
    during = [one for one in judge(acme, NOW + 2 * HOUR) if one.within is None]
    after = [one for one in judge(acme, NOW + 3 * HOUR) if one.within is None]
    assert [one.identity for one in during] == [one.identity for one in after]
    assert after[0].period_end == NOW + 2 * HOUR
    assert not [one for one in judge(acme, NOW + 8 * HOUR) if one.measure is after[0].measure and one.difference > 0]


def test_silence_is_found_when_the_hour_is_over_and_settled(acme: Organization) -> None:
    write(acme.pk, usual(calls=10, until=NOW - HOUR))
    assert judge(acme, NOW - 10 * dt.timedelta(minutes=1)) == []
    assert judge(acme, NOW + dt.timedelta(minutes=1)) == []
    found = judge(acme, NOW + dt.timedelta(minutes=6))
    tokens = next(one for one in found if one.measure is Measure.TOKENS and one.scope == "organization")
    assert (tokens.actual, tokens.expected) == (0, 100_000)
    assert "less than" in tokens.text
    assert_sums(tokens)


def test_an_open_hour_that_has_too_much_already_is_found_at_once(acme: Organization) -> None:
    write(acme.pk, usual())
    write(acme.pk, list(hour_events(NOW, 20, name="burst")))
    at = NOW + dt.timedelta(minutes=45)
    found = next(one for one in judge(acme, at) if one.measure is Measure.TOKENS)
    assert (found.period_start, found.period_end, found.actual) == (NOW, at, 150_000)


def test_failures_are_judged_by_their_number(acme: Organization) -> None:
    write(acme.pk, usual(calls=30, days=8, until=NOW - HOUR))
    write(acme.pk, list(hour_events(NOW - HOUR, 18)))
    failed = [
        make_event(f"failed-{number}", NOW - HOUR + number * dt.timedelta(minutes=2), status="error")
        for number in range(12)
    ]
    write(acme.pk, failed)
    found = next(one for one in judge(acme, NOW) if one.measure is Measure.ERRORS and one.scope == "organization")
    assert (found.actual, found.expected, found.requests, found.basis) == (12, 0, 30, "last days")
    assert "12 of 30 calls failed" in found.text
    assert_sums(found)


def test_members_are_parts_too(acme: Organization, bob: object) -> None:
    write(acme.pk, usual())
    member = membership_of(bob, acme)  # type: ignore[arg-type]
    directory = Directory.load(acme.pk)
    events = list(hour_events(NOW - HOUR, 20, name="burst", user="bob@acme.test"))
    write_with(directory, events)
    found = next(one for one in judge(acme, NOW) if one.measure is Measure.TOKENS and one.scope == "organization")
    by_member = next(one for one in found.parts if one.dimension == "member")
    assert (by_member.parts[0].label, by_member.parts[0].difference) == (str(member.user.name), 200_000)


def test_a_short_history_is_judged_openly(acme: Organization) -> None:
    start = NOW - 12 * DAY
    events = [event for at in office_hours(start, NOW - HOUR) for event in hour_events(at, 3)]
    write(acme.pk, [*events, *hour_events(NOW - HOUR, 30, name="burst")])
    found = next(one for one in judge(acme, NOW) if one.measure is Measure.TOKENS and one.scope == "organization")
    assert found.basis == "hour of day"
    assert "four weeks are not known yet" in found.text


# ── Facts ──


def test_new_models_and_keys_are_told_once_there_is_something_old(acme: Organization, batch: APIKey) -> None:
    write(acme.pk, usual())
    write(acme.pk, list(hour_events(NOW - 3 * HOUR, 4, "claude-opus-4-5")), sent_by(batch))
    findings = judge(acme, NOW)
    (model,) = of_kind(findings, Kind.NEW_MODEL)
    (key,) = of_kind(findings, Kind.NEW_KEY)
    assert (model.ref, model.actual, model.period_start) == ("claude-opus-4-5", 4, NOW - 3 * HOUR)
    assert (key.ref, key.label, key.actual) == (batch.pk, "Batch", 4)
    assert "used for the first time: 4 calls since 11:00 on Wed 18 Nov" in model.text
    assert_sums(model)
    assert model.identity == of_kind(judge(acme, NOW + 4 * HOUR), Kind.NEW_MODEL)[0].identity
    assert of_kind(judge(acme, NOW + 22 * HOUR), Kind.NEW_MODEL) == []


def test_in_a_new_organization_nothing_is_new(acme: Organization) -> None:
    write(acme.pk, list(hour_events(NOW - 3 * DAY, 3)))
    write(acme.pk, list(hour_events(NOW - HOUR, 3, "o3")))
    assert judge(acme, NOW) == []


def test_a_model_that_only_failed_is_not_new(acme: Organization) -> None:
    write(acme.pk, usual())
    write(acme.pk, list(hour_events(NOW - HOUR, 4, "gtp-4o", status="error")))
    assert judge(acme, NOW) == []


@pytest.mark.parametrize(("days", "is_told"), [(31, True), (100, True), (20, False)])
def test_a_key_that_slept_is_told_when_it_wakes(acme: Organization, batch: APIKey, days: int, is_told: bool) -> None:
    write(acme.pk, [*usual(), *hour_events(NOW - 200 * DAY, 3)])
    write(acme.pk, list(hour_events(NOW - days * DAY, 5, name="then")), sent_by(batch))
    write(acme.pk, list(hour_events(NOW - HOUR, 5, name="now")), sent_by(batch))
    found = of_kind(judge(acme, NOW), Kind.DORMANT_KEY)
    assert bool(found) == is_told
    if found:
        assert (found[0].label, found[0].actual) == ("Batch", 5)
        assert "in use again after it was last used on" in found[0].text
    assert of_kind(judge(acme, NOW), Kind.NEW_KEY) == []


def test_use_in_hours_nobody_works_is_told(acme: Organization, batch: APIKey) -> None:
    write(acme.pk, usual())
    night = NOW + 13 * HOUR
    write(acme.pk, list(hour_events(night, 25, name="night")), sent_by(batch))
    (found,) = of_kind(judge(acme, night + HOUR), Kind.UNUSUAL_HOURS)
    assert (found.actual, found.period_start, found.period_end) == (25, night, night + HOUR)
    assert next(one for one in found.parts if one.dimension == "api_key").parts[0].label == "Batch"
    assert of_kind(judge(acme, NOW), Kind.UNUSUAL_HOURS) == []


def test_a_key_and_a_feature_that_change_their_model_are_told_the_day_after(acme: Organization, batch: APIKey) -> None:
    monday = dt.datetime(2026, 11, 16, tzinfo=BERLIN)
    calls = [
        event
        for at in office_hours(NOW - 14 * DAY, NOW)
        for event in hour_events(at, 10, "gpt-4o" if at < monday else "gpt-5", name="batch", feature="summary")
    ]
    write(acme.pk, [*usual(), *hour_events(NOW - 30 * DAY, 1, "gpt-5")])
    write(acme.pk, calls, sent_by(batch))
    tuesday = monday.astimezone(dt.UTC) + 32 * HOUR
    found = of_kind(judge(acme, tuesday), Kind.MODEL_SWITCHED)
    assert {(one.scope, one.label) for one in found} == {("api_key", "Batch"), ("feature", "summary")}
    key = next(one for one in found if one.scope == "api_key")
    assert (key.actual, key.expected, key.requests) == (80, 0, 80)
    assert "Key Batch went over from gpt-4o to gpt-5: 100% of 80 calls on Mon 16 Nov" in key.text
    assert_sums(key)
    assert of_kind(judge(acme, NOW + 8 * DAY), Kind.MODEL_SWITCHED) == []


# ── How it is asked ──


def test_queries_do_not_grow_with_keys(acme: Organization) -> None:
    write(acme.pk, usual(calls=1))
    with CaptureQueriesContext(
        connection,
    ) as few:
        judge(acme, NOW)
    for number in range(12):
        key = make_key(acme, name=f"Key {number}").row
        write(acme.pk, usual(calls=1, name=f"k{number}"), sent_by(key))
    with CaptureQueriesContext(connection) as many:
        judge(acme, NOW)
    assert len(many) == len(few) <= 12


def test_the_command_prints_findings_for_people_and_programs(acme: Organization, globex: Organization) -> None:
    write(acme.pk, [*usual(), *hour_events(NOW - HOUR, 20, name="burst")])
    out = StringIO()
    call_command("detect_anomalies", "--at", NOW.isoformat(), stdout=out)
    assert "acme: Acme used" in out.getvalue()
    assert "globex: nothing unusual." in out.getvalue()
    out = StringIO()
    call_command("detect_anomalies", "acme", "--at", NOW.isoformat(), "--json", stdout=out)
    (listed,) = json.loads(out.getvalue())["organizations"].values()
    assert listed[0]["difference"] == listed[0]["actual"] - listed[0]["expected"]
    assert listed[0]["identity"].startswith("unusual:organization:0:")
    with pytest.raises(CommandError):
        call_command("detect_anomalies", "nobody")
