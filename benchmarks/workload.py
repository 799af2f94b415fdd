"""Events as programs send them: recent times, few projects and models used most, OpenAI's usage object."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from typing import Any

PROJECTS = ("search", "support", "studio", "pipeline", "evals", "mobile", "research", "internal")
MODELS = (
    "gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "gpt-4.1", "gpt-4.1-nano", "o4-mini", "o3", "gpt-5-mini",
    "gpt-5", "text-embedding-3-small",
)  # fmt: skip
FEATURES = ("chat", "agents", "web search", "analysis", "summary")
PEOPLE = tuple(f"person{number}@bench.test" for number in range(60))


def _zipf(items: tuple[Any, ...]) -> list[float]:
    return list(itertools.accumulate(1 / rank for rank in range(1, len(items) + 1)))


class Workload:
    """An endless supply of events with ids of their own; the same seed, the same events."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._numbers = itertools.count()
        self._weights = {items: _zipf(items) for items in (PROJECTS, MODELS, FEATURES, PEOPLE)}
        self._chats = tuple(f"chat-{seed}-{number}" for number in range(400))

    def _pick(self, items: tuple[Any, ...]) -> Any:
        return self._random.choices(items, cum_weights=self._weights[items])[0]

    def event(self) -> dict[str, Any]:
        rng = self._random
        prompt, completion = int(rng.lognormvariate(6.5, 1.2)) + 1, int(rng.lognormvariate(5, 1)) + 1
        cached = prompt // 2 // 128 * 128 if rng.random() < 0.3 else 0
        # Mostly of the last minutes; one in twenty was kept back for hours.
        late = rng.expovariate(1 / (300 if rng.random() < 0.95 else 20_000))
        number = next(self._numbers)
        event: dict[str, Any] = {
            "id": f"chatcmpl-{self._seed}-{number:08d}",
            "occurred_at": (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=late)).isoformat(timespec="milliseconds"),
            "model": self._pick(MODELS),
            "provider": "openai",
            "endpoint": "/v1/chat/completions",
            "project": self._pick(PROJECTS),
            "user": self._pick(PEOPLE),
            "feature": self._pick(FEATURES),
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
                "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": completion // 3 if rng.random() < 0.2 else 0,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
            "status": "ok" if rng.random() < 0.98 else "error",
            "duration_ms": int(rng.lognormvariate(7.3, 0.8)),
            "streamed": rng.random() < 0.6,
        }
        if rng.random() < 0.4:
            event["chat"] = {"id": rng.choice(self._chats), "title": "Quarterly figures"}
            event["message"] = {
                "id": f"m-{number}",
                "input_parts": {"message": prompt // 4, "context": prompt - prompt // 4},
            }
        if rng.random() < 0.03:
            event["files"] = [
                {"id": f"f{number % 50}", "name": "Annual_Report.pdf", "size_bytes": 2_300_000, "tokens": 900}
            ]
        if rng.random() < 0.2:
            event["tags"] = {"env": "prod", "region": rng.choice(("eu", "us"))}
        return event

    def batch(self, size: int) -> list[dict[str, Any]]:
        return [self.event() for _ in range(size)]
