"""What goes wrong in the demo organization, now and then: calls made again for nothing, answers nobody has, a chat
that only grows, a key that was forgotten. Something for advice to find."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from accounts import keys
from accounts.models import APIKey, Organization, Scope
from config.demo.organization import BY, record_calls, senders_of
from config.demo.usage import PEOPLE
from core.periods import day_start, local_day
from core.tenancy import organization_scope
from metering.directory import Directory
from metering.pricing.book import PriceBook

FORGOTTEN_KEY, MADE_DAYS_AGO, USED_DAYS_AGO = "search-staging", 320, 83
# Days before today on which each thing happened; all of the two days before stay as they are.
LOOPS, CHATS, STOPPED, CUT_OFF, OVERLONG = (5, 12, 19, 26), (9, 18), range(3, 29), (6, 13, 20, 27), (7, 14, 21, 28)
TWICE = range(3, 29)

Call = dict[str, Any]


def forget_key(organization: Organization, now: dt.datetime) -> None:
    """A key of a test long over that still works."""
    with organization_scope(organization.pk):
        key, _ = keys.create_key(organization, FORGOTTEN_KEY, [Scope.USAGE_WRITE, Scope.USAGE_READ], by=BY)
        APIKey.objects.filter(pk=key.pk).update(
            created_at=now - dt.timedelta(days=MADE_DAYS_AGO), last_used_at=now - dt.timedelta(days=USED_DAYS_AGO)
        )


def write(organization: Organization, now: dt.datetime) -> int:
    """The calls of the last four weeks that were waste. Returns their number."""
    by_project: dict[str, list[Call]] = {}
    for call in calls_of(organization, now):
        by_project.setdefault(call["project"], []).append(call)
    directory, book = Directory.load(organization.pk), PriceBook.load()
    senders = senders_of(organization, set(by_project))
    return sum(record_calls(directory, book, senders[project], calls, now) for project, calls in by_project.items())


def calls_of(organization: Organization, now: dt.datetime) -> Iterator[Call]:
    """Event documents; what happens on a day is the same whenever it is asked for."""
    today = local_day(now, organization.zone)

    def at(days_ago: int, hour: int) -> dt.datetime:
        return day_start(today - dt.timedelta(days=days_ago), organization.zone) + dt.timedelta(hours=hour)

    for days in LOOPS:
        yield from _loop(at(days, 11))
    for days in CHATS:
        yield from _endless_chat(at(days, 9))
    for days in TWICE:
        yield from _sent_twice(at(days, 10))
    for days in STOPPED:
        yield _stopped(at(days, 15))
        yield _stopped(at(days, 17))
    for days in CUT_OFF:
        yield from _cut_off(at(days, 14))
    for days in OVERLONG:
        yield from _overlong(at(days, 16))


def _loop(start: dt.datetime) -> Iterator[Call]:
    """A grader whose answer is never quite the JSON that was asked for, and which is asked again at once."""
    chat = {"id": f"grading-{start:%y%m%d}", "title": "Grade the golden answers"}
    for number in range(14):
        usage = _anthropic(6_412, 84 + 7 * (number % 5))
        call = _call("loop", start + dt.timedelta(seconds=4 * number), number, "evals", "priya", _SONNET, usage)
        yield {**call, "feature": "agents", "chat": chat, "message": {"id": f"grade-{start:%y%m%d}"}}


def _sent_twice(start: dt.datetime) -> Iterator[Call]:
    """A button that sends again when it is pressed twice."""
    for question in range(3):
        name = f"ticket-{start:%y%m%d}-{question}"
        for number in range(2):
            at = start + dt.timedelta(minutes=17 * question, seconds=9 * number)
            usage = _openai(4_730 + 60 * question, 310 + 11 * number)
            call = _call("twice", at, 2 * question + number, "support-bot", "mei", _GPT_4O, usage)
            chat = {"id": name, "title": "Refund policy wording"}
            yield {**call, "chat": chat, "message": {"id": f"{name}-1"}, "integration": "zendesk"}


def _endless_chat(start: dt.datetime) -> Iterator[Call]:
    """An investigation in which everything found so far is sent along."""
    chat = {"id": f"incident-{start:%y%m%d}", "title": "Incident review"}
    for number in range(24):
        prompt = 2_300 + 1_640 * number
        at = start + dt.timedelta(minutes=6 * number)
        call = _call("grows", at, number, "search-assist", "erik", _SONNET, _anthropic(prompt, 380))
        parts = {"message": 90, "context": prompt - 90}
        message = {"id": f"{chat['id']}-{number}", "input_parts": parts, "output_parts": {"answer": 380}}
        yield {**call, "chat": chat, "message": message}


def _stopped(at: dt.datetime) -> Call:
    """A long search whose reader had gone before it was told."""
    call = _call("stopped", at, at.hour, "search-assist", "bob", _SONNET, _anthropic(7_150, 530))
    return {**call, "feature": "web search", "status": "cancelled", "streamed": True}


def _cut_off(start: dt.datetime) -> Iterator[Call]:
    """Copy that is longer than it was allowed to be."""
    for number in range(7):
        at = start + dt.timedelta(minutes=4 * number)
        call = _call("cut", at, number, "marketing-studio", "carol", _GPT_4O, _openai(1_430 + 25 * number, 4_096))
        yield {**call, "finish_reason": "length"}


def _overlong(start: dt.datetime) -> Iterator[Call]:
    """A request for a tagline that is answered with a book."""
    for number in range(3):
        at = start + dt.timedelta(minutes=12 * number)
        usage = _openai(1_210 + 40 * number, 9_700 + 350 * number)
        call = _call("book", at, number, "support-bot", "alice", _GPT_4O, usage)
        yield {**call, "finish_reason": "stop", "integration": "zendesk"}


_SONNET = ("claude-sonnet-4-5", "anthropic", "/v1/messages")
_GPT_4O = ("gpt-4o", "openai", "/v1/chat/completions")


def _call(
    what: str,
    at: dt.datetime,
    number: int,
    project: str,
    person: str,
    model: tuple[str, str, str],
    usage: dict[str, Any],
) -> Call:
    name, provider, endpoint = model
    return {
        "id": f"req_{what}{at:%y%m%d}{number:03d}",
        "occurred_at": at.isoformat(),
        "model": name,
        "provider": provider,
        "endpoint": endpoint,
        "usage": usage,
        "project": project,
        "user": PEOPLE[person],
        "feature": "chat",
        "duration_ms": 900 + 9 * usage.get("completion_tokens", usage.get("output_tokens", 0)),
        "tags": {"env": "ci" if project == "evals" else "prod"},
    }


def _anthropic(prompt: int, completion: int) -> dict[str, Any]:
    return {"input_tokens": prompt, "output_tokens": completion}


def _openai(prompt: int, completion: int) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
