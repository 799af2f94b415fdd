"""Whom and what a call is counted for: what is fixed, what holds for a block of code, and the call's own, merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, TypedDict, Union

TagValue = Union[str, int, float, bool, None]


class _WithId(TypedDict):
    id: str


class Chat(_WithId, total=False):
    title: Optional[str]


class Message(TypedDict, total=False):
    id: str
    input_parts: Mapping[str, int]
    output_parts: Mapping[str, int]


class File(_WithId, total=False):
    name: Optional[str]
    size_bytes: Optional[int]
    tokens: Optional[int]


class Dimensions(TypedDict, total=False):
    """`chat` and `message` may be just their ids. None takes away what an outer layer has set."""

    user: Optional[str]
    project: Optional[str]
    chat: Union[str, Chat, None]
    message: Union[str, Message, None]
    files: Optional[Sequence[File]]
    feature: Optional[str]
    tool: Optional[str]
    integration: Optional[str]
    end_user: Optional[str]
    tags: Optional[Mapping[str, TagValue]]


NAMES = frozenset(Dimensions.__annotations__)


def check(given: Mapping[str, Any], known: frozenset[str] = NAMES) -> None:
    """Raises TypeError for names that mean nothing, which are rather misspelled."""
    unknown = sorted(set(given) - known)
    if unknown:
        raise TypeError(f"unknown: {', '.join(unknown)}; known are {', '.join(sorted(known))}")


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """A later layer wins; tags are merged one by one. None takes away, a tag as well as a dimension."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            if value is None:
                merged.pop(name, None)
            elif name == "tags":
                merged["tags"] = _merge_tags(merged.get("tags", {}), value)
            elif name in ("chat", "message") and isinstance(value, str):
                merged[name] = {"id": value}
            else:
                merged[name] = value
    if not merged.get("tags", True):
        del merged["tags"]
    return merged


def _merge_tags(outer: Mapping[str, TagValue], inner: Mapping[str, TagValue]) -> dict[str, TagValue]:
    return {name: value for name, value in {**outer, **inner}.items() if value is not None}
