"""Habits that advice is about: short calls of a large model, nightly jobs that nobody waits for, talks without a cache.

Only of the last weeks, beside what config/demo/usage.py brings of every hour. From generators of their own, so that
nothing else moves.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

# What happened before is no more than it was.
DAYS = 40
TRIAGE_A_DAY = 45
_TRIAGE_HOURS = range(8, 18)
LABELS_A_DAY = 40
# Since then the smaller model answers these: advice that was taken.
MOVED_DAYS_AGO = 12
DIGESTS, _DIGEST_HOUR = 24, 4
STEPS, _AGENT_HOUR = 9, 10


def habits_of_hour(hour: dt.datetime, now: dt.datetime, zone: ZoneInfo, scale: float) -> Iterator[dict[str, Any]]:
    """The calls of the hour that starts at `hour` (UTC), as event documents, in no order."""
    if hour < now - dt.timedelta(days=DAYS):
        return
    local = hour.astimezone(zone)
    chance = random.Random(f"habits {hour.isoformat()}")  # noqa: S311  (lifelike, not secret)
    is_workday = local.weekday() < 5
    if local.hour in _TRIAGE_HOURS and is_workday:
        for number in range(round(TRIAGE_A_DAY / len(_TRIAGE_HOURS) * scale * chance.uniform(0.6, 1.4))):
            yield _triage(chance, hour, number)
        for number in range(round(LABELS_A_DAY / len(_TRIAGE_HOURS) * scale * chance.uniform(0.6, 1.4))):
            yield _label(chance, hour, number, is_moved=hour >= now - dt.timedelta(days=MOVED_DAYS_AGO))
    if local.hour == _DIGEST_HOUR:
        for number in range(DIGESTS):
            yield _digest(chance, hour, number)
    if local.hour == _AGENT_HOUR and is_workday:
        yield from _agent(chance, hour, local.date())


def _triage(chance: random.Random, hour: dt.datetime, number: int) -> dict[str, Any]:
    """Which queue a ticket belongs to: a few words, asked of a model that could write a novel."""
    at = hour + dt.timedelta(seconds=chance.randrange(3_600))
    answer = chance.randrange(6, 30)
    return {
        **_call("tri", at, number, "gpt-4o", "openai", "/v1/chat/completions"),
        "project": "support-bot",
        "feature": "triage",
        "user": "alice@northbound.test",
        "integration": "zendesk",
        "usage": _openai(chance.randrange(240, 620), answer),
        "duration_ms": 300 + answer * 12,
    }


def _label(chance: random.Random, hour: dt.datetime, number: int, *, is_moved: bool) -> dict[str, Any]:
    """What a query is after: one word."""
    at = hour + dt.timedelta(seconds=chance.randrange(3_600))
    answer = chance.randrange(4, 16)
    model = "claude-haiku-4-5" if is_moved else "claude-sonnet-4-5"
    return {
        **_call("lab", at, number, model, "anthropic", "/v1/messages"),
        "project": "search-assist",
        "feature": "intent",
        "user": "erik@northbound.test",
        "usage": {"input_tokens": chance.randrange(300, 780), "output_tokens": answer},
        "duration_ms": 260 + answer * 13,
    }


def _digest(chance: random.Random, hour: dt.datetime, number: int) -> dict[str, Any]:
    """What was written about the company: read at breakfast, made at four."""
    at = hour + dt.timedelta(seconds=chance.randrange(12 * 60))
    answer = chance.randrange(180, 340)
    return {
        **_call("dig", at, number, "gpt-4o", "openai", "/v1/chat/completions"),
        "project": "marketing-studio",
        "feature": "press digest",
        "user": "carol@northbound.test",
        "usage": _openai(chance.randrange(1_050, 1_500), answer),
        "duration_ms": 400 + answer * 11,
    }


def _agent(chance: random.Random, hour: dt.datetime, day: dt.date) -> Iterator[dict[str, Any]]:
    """One talk, each step with all that was said before."""
    at = hour + dt.timedelta(minutes=chance.randrange(5, 25))
    prompt = chance.randrange(1_800, 2_600)
    for number in range(STEPS):
        answer = chance.randrange(160, 420)
        yield {
            **_call("agt", at, number, "claude-sonnet-4-5", "anthropic", "/v1/messages"),
            "project": "evals",
            "feature": "agents",
            "user": "priya@northbound.test",
            "integration": "github",
            "chat": {"id": f"evals-agent-{day:%y%m%d}", "title": "Nightly failures, step by step"},
            "usage": {"input_tokens": prompt, "output_tokens": answer},
            "duration_ms": 500 + answer * 14,
        }
        prompt += answer + chance.randrange(420, 900)
        at += dt.timedelta(seconds=chance.randrange(35, 100))


def _call(what: str, at: dt.datetime, number: int, model: str, provider: str, endpoint: str) -> dict[str, Any]:
    return {
        "id": f"req_{what}{at:%y%m%d%H%M%S}{number:02d}",
        "occurred_at": at.isoformat(),
        "model": model,
        "provider": provider,
        "endpoint": endpoint,
        "tags": {"env": "prod", "region": "eu"},
        "streamed": False,
        "finish_reason": "stop",
    }


def _openai(prompt: int, answer: int) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
