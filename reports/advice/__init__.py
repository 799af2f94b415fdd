"""What is worth changing, each piece with its evidence and what it saves. One module for each kind.

docs/algorithms/advice.md has every kind exactly. The order is that of lists.
"""

from __future__ import annotations

import functools

from django.utils.module_loading import import_string

from core.errors import ApiError
from reports.advice.kind import Kind

KINDS: dict[str, str] = {
    "model_switch": "reports.advice.model_switch.KIND",
    "batch_tier": "reports.advice.batch_tier.KIND",
    "prompt_caching": "reports.advice.prompt_caching.KIND",
    "plan_fit": "reports.advice.plan_fit.KIND",
    "committed_spend": "reports.advice.committed_spend.KIND",
    "retry_loops": "reports.advice.retry_loops.KIND",
    "duplicates": "reports.advice.duplicates.KIND",
    "empty_answers": "reports.advice.empty_answers.KIND",
    "cut_off": "reports.advice.cut_off.KIND",
    "max_tokens": "reports.advice.long_answers.KIND",
    "long_chats": "reports.advice.long_chats.KIND",
    "large_files": "reports.advice.large_files.KIND",
    "idle_keys": "reports.advice.idle_keys.KIND",
}


@functools.cache
def kind_of(name: str) -> Kind:
    """Raises ApiError 422 for a name that is none."""
    if name not in KINDS:
        raise ApiError(422, "invalid_parameter", f"kind is one of {', '.join(KINDS)}.", param="kind")
    found: Kind = import_string(KINDS[name])
    return found
