"""Lifelike usage: what a company of a few dozen people sends to language models, hour by hour.

Everything is drawn from a seeded generator, so the same moment always brings the same calls. Usage objects are in
the providers' own shapes and go through the normalizers like anybody's.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from config.demo.habits import habits_of_hour


class Model(msgspec.Struct, frozen=True):
    name: str
    provider: str
    shape: str
    # Median prompt and completion tokens, and the share of the prompt that is read from a cache.
    prompt: int
    completion: int
    cached: float = 0.0
    endpoint: str = "/v1/chat/completions"


GPT_4O = Model("gpt-4o", "openai", "openai", 1800, 320, 0.25)
GPT_4O_MINI = Model("gpt-4o-mini", "openai", "openai", 900, 180, 0.2)
O3_MINI = Model("o3-mini", "openai", "openai", 1200, 900)
SONNET = Model("claude-sonnet-4-5", "anthropic", "anthropic", 5200, 620, 0.55, "/v1/messages")
HAIKU = Model("claude-haiku-4-5", "anthropic", "anthropic", 1400, 260, 0.3, "/v1/messages")
FLASH = Model("gemini-2.5-flash", "google", "gemini", 2600, 300, 0.1, "/v1beta/models/generateContent")
EMBEDDING = Model("text-embedding-3-small", "openai", "embedding", 700, 0, 0.0, "/v1/embeddings")
REALTIME = Model("gpt-realtime-mini", "openai", "realtime", 900, 260, 0.3, "/v1/realtime")
WHISPER = Model("whisper-1", "openai", "recording", 0, 0, 0.0, "/v1/audio/transcriptions")
OWN_RERANKER = Model("northbound-rerank-2", "northbound", "openai", 400, 8, 0.0, "/v1/rerank")


class Workload(msgspec.Struct, frozen=True):
    """What one project does: how often on a working day a year ago and now, with which models, for whom."""

    project: str
    key: str
    calls_then: float
    calls_now: float
    models: tuple[tuple[Model, float], ...]
    features: tuple[tuple[str, float], ...]
    people: tuple[str, ...]
    # Interactive work follows office hours; services run evenly; nightly jobs between one and four.
    rhythm: str = "office"
    tools: tuple[tuple[str | None, float], ...] = ((None, 1.0),)
    integration: str | None = None
    error_rate: float = 0.008


PEOPLE = {
    "alice": "alice@northbound.test",
    "bob": "bob@northbound.test",
    "carol": "carol@northbound.test",
    "david": "david@northbound.test",
    "priya": "priya@northbound.test",
    "erik": "erik@northbound.test",
    "mei": "mei@northbound.test",
}

WORKLOADS = (
    Workload(
        "search-assist",
        "search-prod",
        40,
        118,
        ((SONNET, 0.35), (GPT_4O_MINI, 0.4), (EMBEDDING, 0.2), (OWN_RERANKER, 0.05)),
        (("chat", 0.55), ("web search", 0.45)),
        ("bob", "erik"),
        "even",
        ((None, 0.5), ("web_search", 0.4), ("code_interpreter", 0.1)),
    ),
    Workload(
        "support-bot",
        "support-prod",
        35,
        92,
        ((GPT_4O, 0.6), (HAIKU, 0.4)),
        (("chat", 0.9), ("analysis", 0.1)),
        ("alice", "mei"),
        "office",
        ((None, 0.8), ("ticket_lookup", 0.2)),
        "zendesk",
        0.012,
    ),
    Workload(
        "marketing-studio",
        "studio-web",
        12,
        34,
        ((GPT_4O, 0.5), (FLASH, 0.5)),
        (("chat", 0.7), ("analysis", 0.3)),
        ("carol",),
        "office",
        ((None, 0.9), ("image_prompt", 0.1)),
        "slack",
    ),
    Workload(
        "doc-pipeline",
        "batch-nightly",
        30,
        60,
        ((FLASH, 0.7), (GPT_4O_MINI, 0.3)),
        (("analysis", 1.0),),
        ("david",),
        "nightly",
        ((None, 1.0),),
        "google-drive",
        0.02,
    ),
    Workload(
        "evals",
        "evals-ci",
        10,
        26,
        ((SONNET, 0.4), (O3_MINI, 0.3), (HAIKU, 0.3)),
        (("agents", 1.0),),
        ("priya",),
        "office",
        ((None, 0.6), ("code_interpreter", 0.4)),
        "github",
    ),
    Workload(
        "voice-line",
        "voice-prod",
        4,
        21,
        ((REALTIME, 0.6), (WHISPER, 0.4)),
        (("voice", 1.0),),
        ("mei", "alice"),
        "office",
        ((None, 0.85), ("ticket_lookup", 0.15)),
        "twilio",
        0.03,
    ),
    # Nobody's: a project without a team, and calls that name no user. Its cost is shared.
    Workload(
        "playground",
        "shared-playground",
        4,
        14,
        ((GPT_4O, 0.3), (GPT_4O_MINI, 0.5), (EMBEDDING, 0.2)),
        (("chat", 0.6), ("analysis", 0.4)),
        (),
        "even",
    ),
)

TITLES = (
    "Q3 marketing analysis",
    "Refund policy wording",
    "Onboarding checklist",
    "Contract summary",
    "Churn by region",
    "Release notes draft",
    "Interview questions",
    "Latency regression",
    "Pricing page copy",
    "Incident review",
    "Invoice mismatch",
    "Feature request triage",
    "Translation of the handbook",
    "Data retention question",
)

# What people attach: name, bytes, tokens. Each is a file of one project, used again in later chats.
FILES: dict[str, tuple[tuple[str, int, int], ...]] = {
    "support-bot": (
        ("Refund_policy.pdf", 184_320, 2_150),
        ("Ticket_export.csv", 96_256, 3_480),
        ("Product_manual_v4.pdf", 3_842_048, 21_400),
        ("Known_issues.md", 22_528, 1_240),
        ("Warranty_terms.docx", 71_680, 2_890),
    ),
    "marketing-studio": (
        ("Annual_Report.pdf", 2_411_724, 12_500),
        ("Campaign_brief.docx", 58_880, 1_720),
        ("Q3_channels.xlsx", 141_312, 4_260),
        ("Brand_guidelines.pdf", 5_242_880, 8_310),
        ("Customer_interviews.txt", 260_096, 16_750),
    ),
    "evals": (("golden_answers.jsonl", 412_672, 5_940), ("red_team_prompts.jsonl", 188_416, 3_070)),
    "doc-pipeline": (
        ("Supplier_contract.pdf", 742_400, 6_830),
        ("Handbook_2026.pdf", 1_934_336, 9_410),
        ("Invoice_scan.pdf", 322_560, 880),
        ("Delivery_notes.zip", 1_126_400, 3_640),
        ("Safety_datasheet.pdf", 615_424, 5_120),
    ),
}
FILE_RATE = 0.14

OFFICE = (
    0.1, 0.05, 0.03, 0.03, 0.05, 0.15, 0.5, 1.4, 2.6, 3.2, 3.3, 3.0,
    2.2, 2.6, 3.1, 3.0, 2.7, 2.1, 1.2, 0.8, 0.6, 0.5, 0.3, 0.2,
)  # fmt: skip
EVEN = (
    0.7, 0.6, 0.5, 0.5, 0.5, 0.6, 0.8, 1.0, 1.2, 1.3, 1.4, 1.4,
    1.3, 1.3, 1.4, 1.4, 1.3, 1.2, 1.1, 1.1, 1.0, 0.9, 0.8, 0.7,
)  # fmt: skip
NIGHTLY = (0.5, 8.0, 8.0, 6.0, 1.0, *([0.03] * 18), 0.2)
RHYTHMS = {"office": OFFICE, "even": EVEN, "nightly": NIGHTLY}
WEEKEND = {"office": 0.18, "even": 0.6, "nightly": 0.4}
# The afternoon of the day before yesterday, a loop in the evaluation runs, from and to an hour.
SPIKE_DAYS_AGO, SPIKE_HOURS, SPIKE_FACTOR = 2, (13, 17), 25.0
# Answers that came back without a word.
EMPTY_RATE = 0.004


def calls_of_hour(
    hour: dt.datetime, now: dt.datetime, zone: ZoneInfo, *, scale: float = 1.0
) -> Iterator[dict[str, Any]]:
    """The calls of the hour that starts at `hour` (UTC), as event documents of the public contract, in no order."""
    chance = random.Random(f"northbound {hour.isoformat()}")  # noqa: S311  (lifelike, not secret)
    local = hour.astimezone(zone)
    age = (now - hour).days / 395
    for workload in WORKLOADS:
        rhythm = RHYTHMS[workload.rhythm]
        expected = (
            (workload.calls_now + (workload.calls_then - workload.calls_now) * age) * rhythm[local.hour] / sum(rhythm)
        )
        expected *= WEEKEND[workload.rhythm] if local.weekday() >= 5 else 1.0
        expected *= 1 + 0.15 * math.sin(2 * math.pi * local.timetuple().tm_yday / 365)
        days_ago = (now.astimezone(zone).date() - local.date()).days
        if workload.project == "evals" and days_ago == SPIKE_DAYS_AGO and local.hour in range(*SPIKE_HOURS):
            expected *= SPIKE_FACTOR
        for number in range(_poisson(chance, expected * scale)):
            yield _call(chance, workload, hour, number)
    yield from habits_of_hour(hour, now, zone, scale)


def _poisson(chance: random.Random, mean: float) -> int:
    """Knuth's product method; means here are small."""
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count


def _pick(chance: random.Random, weighted: tuple[tuple[Any, float], ...]) -> Any:
    return chance.choices([value for value, _ in weighted], [weight for _, weight in weighted])[0]


def _call(chance: random.Random, workload: Workload, hour: dt.datetime, number: int) -> dict[str, Any]:
    model: Model = _pick(chance, workload.models)
    at = hour + dt.timedelta(milliseconds=chance.randrange(3_600_000))
    person = chance.choice(workload.people) if workload.people else None
    event: dict[str, Any] = {
        "id": f"req_{workload.project[:3]}{hour:%y%m%d%H}{number:03d}{chance.randrange(16**6):06x}",
        "occurred_at": at.isoformat(),
        "model": model.name,
        "provider": model.provider,
        "endpoint": model.endpoint,
        "project": workload.project,
        "feature": _pick(chance, workload.features),
        "tags": {"env": "prod" if workload.project != "evals" else "ci", "region": "us" if number % 3 == 0 else "eu"},
    }
    if person:
        event["user"] = PEOPLE[person]
    tool = _pick(chance, workload.tools)
    if tool:
        event["tool"] = tool
    if workload.integration:
        event["integration"] = workload.integration
    if workload.rhythm == "office" or (event["feature"] == "chat" and model.completion):
        # A conversation goes on for a while: calls of a few hours share a chat.
        part, topic, who = hour.hour // 4, chance.randrange(2), person or "anybody"
        event["chat"] = {
            "id": f"{workload.project}-{who}-{hour:%y%m%d}-{part}{topic}",
            "title": TITLES[(hour.toordinal() * 3 + part + topic * 5 + len(who)) % len(TITLES)],
        }
    if workload.project == "support-bot":
        event["end_user"] = f"customer-{chance.randrange(400):03d}"
    if chance.random() < workload.error_rate:
        event |= {
            "status": "error",
            "error_code": chance.choice(("rate_limited", "overloaded", "context_length_exceeded")),
            "duration_ms": chance.randrange(80, 900),
        }
        return event
    prompt = max(8, round(model.prompt * chance.lognormvariate(0, 0.7)))
    attached = _files(chance, workload) if model.completion else []
    if attached:
        event["files"] = attached
        prompt += sum(file["tokens"] for file in attached)
    completion = max(1, round(model.completion * chance.lognormvariate(0, 0.6))) if model.completion else 0
    # A generator of its own: what is drawn from it moves nothing else.
    rare = random.Random(event["id"])  # noqa: S311  (lifelike, not secret)
    completion *= rare.random() >= EMPTY_RATE
    event["usage"] = _usage(chance, model, prompt, completion)
    _charge_apart(rare, workload, model, event)
    heard = event["usage"].get("seconds", prompt / 90)
    event["duration_ms"] = round(250 + (completion or heard * 10) * chance.uniform(6, 14))
    if model.completion:
        event["time_to_first_token_ms"] = round(chance.uniform(150, 700) * (0.5 + model.prompt / 3_600))
        event["streamed"] = workload.rhythm == "office"
        event["finish_reason"] = "stop"
    if "chat" in event and model.completion:
        event["message"] = _message(chance, event, prompt, completion)
    return event


def _files(chance: random.Random, workload: Workload) -> list[dict[str, Any]]:
    files = FILES.get(workload.project, ())
    if not files or chance.random() >= FILE_RATE:
        return []
    # The first ones are used most; now and then two are compared.
    wanted = min(len(files), 2 if chance.random() < 0.15 else 1)
    chosen: dict[str, dict[str, Any]] = {}
    while len(chosen) < wanted:
        name, size, tokens = files[min(int(chance.expovariate(0.35)), len(files) - 1)]
        chosen[name] = {"id": f"{workload.project}/{name}", "name": name, "size_bytes": size, "tokens": tokens}
    return list(chosen.values())


def _message(chance: random.Random, event: dict[str, Any], prompt: int, completion: int) -> dict[str, Any]:
    """What the prompt and the answer are made of; the parts sum to what the usage object says."""
    files = sum(file["tokens"] for file in event.get("files", ()))
    own = min(prompt - files, chance.randrange(12, 140))
    tool = round(completion * chance.uniform(0.1, 0.5)) if "tool" in event else 0
    parts = {"message": own, "context": prompt - files - own, "files": files}
    said = {"answer": completion - tool, "tool_output": tool}
    return {
        "id": f"msg_{event['id'].removeprefix('req_')}",
        "input_parts": {name: tokens for name, tokens in parts.items() if tokens},
        "output_parts": {name: tokens for name, tokens in said.items() if tokens},
    }


def _charge_apart(rare: random.Random, workload: Workload, model: Model, event: dict[str, Any]) -> None:
    """What prices tell apart: jobs of the night go to the batch tier, searches on the web are paid for one by one."""
    if workload.rhythm == "nightly":
        event["service_tier"] = "batch"
    if model.shape == "anthropic" and event.get("tool") == "web_search":
        event["usage"]["server_tool_use"] = {"web_search_requests": rare.randrange(1, 4)}


def _usage(chance: random.Random, model: Model, prompt: int, completion: int) -> dict[str, Any]:
    cached = round(prompt * model.cached * chance.random() * 2) if model.cached else 0
    cached = min(cached, prompt - 1)
    if model.shape == "anthropic":
        written = round((prompt - cached) * 0.2) if cached else 0
        return {
            "input_tokens": prompt - cached - written,
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": written,
            "output_tokens": completion,
        }
    if model.shape == "gemini":
        thoughts = round(completion * 0.4)
        return {
            "promptTokenCount": prompt,
            "cachedContentTokenCount": cached,
            "candidatesTokenCount": completion,
            "thoughtsTokenCount": thoughts,
            "totalTokenCount": prompt + completion + thoughts,
        }
    if model.shape == "recording":
        return {"type": "duration", "seconds": round(chance.lognormvariate(3.4, 0.7), 1)}
    if model.shape == "realtime":
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"audio_tokens": round((prompt - cached) * 0.6)},
            "completion_tokens_details": {"audio_tokens": round(completion * 0.75)},
        }
    if model.shape == "embedding":
        return {"prompt_tokens": prompt, "total_tokens": prompt}
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    if model is O3_MINI:
        usage["completion_tokens_details"] = {"reasoning_tokens": round(completion * 0.7)}
    return usage
