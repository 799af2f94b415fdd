"""What is worth changing, each piece with its evidence and what it saves. One module for each kind.

docs/algorithms/advice.md has every kind exactly. The order is that of lists.
"""

from __future__ import annotations

import functools

from django.utils.module_loading import import_string

from core.errors import ApiError
from reports.advice.kind import Kind

KINDS: dict[str, str] = {}


@functools.cache
def kind_of(name: str) -> Kind:
    """Raises ApiError 422 for a name that is none."""
    if name not in KINDS:
        raise ApiError(422, "invalid_parameter", f"kind is one of {', '.join(KINDS)}.", param="kind")
    found: Kind = import_string(KINDS[name])
    return found
