"""Tracking the calls of a provider's own SDK client, whose methods are replaced on that one object.

Nothing of the SDKs is imported: an object is known by its methods, so any version and any subclass will do.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, TypeVar

from tokenledger.wrapping.methods import MARK, replace_method
from tokenledger.wrapping.told import ChatTold, EmbeddingsTold, MessagesTold, ResponsesTold, Told
from tokenledger.wrapping.tracker import Tracker

if TYPE_CHECKING:
    from tokenledger.client import Client

T = TypeVar("T")

logger = logging.getLogger("tokenledger")


class Method(NamedTuple):
    """`path` leads from a client to the object with the method. A manager makes its request when it is entered."""

    path: str
    name: str
    told: type[Told]
    is_manager: bool = False


_OPENAI = (
    Method("chat.completions", "create", ChatTold),
    Method("chat.completions", "parse", ChatTold),
    Method("chat.completions", "stream", ChatTold, is_manager=True),
    Method("responses", "create", ResponsesTold),
    Method("responses", "parse", ResponsesTold),
    Method("responses", "stream", ResponsesTold, is_manager=True),
    Method("embeddings", "create", EmbeddingsTold),
)
_ANTHROPIC = tuple(
    Method(path, name, MessagesTold, is_manager=name == "stream")
    for path in ("messages", "beta.messages")
    for name in ("create", "parse", "stream")
)
_COPIES = ("copy", "with_options")


def wrap(
    client: Client,
    provider_client: T,
    provider: Optional[str],
    dimensions: Mapping[str, Any],
    *,
    ask_for_stream_usage: bool,
) -> T:
    """See Client.wrap."""
    methods = _methods_of(provider_client)
    tracked_by = vars(provider_client).get(MARK)
    if tracked_by is client:
        return provider_client
    if tracked_by is not None:
        raise ValueError("Another Tokenledger client tracks this one already.")
    tracker = Tracker(client, provider_client, provider, dimensions, asks_for_usage=ask_for_stream_usage)
    for method in methods:
        owner = _owner(provider_client, method.path)
        if hasattr(owner, method.name):
            replace_method(owner, method.name, tracker, method.told, is_manager=method.is_manager)
    setattr(provider_client, MARK, client)
    for name in _COPIES:
        _track_copies(client, provider_client, name, provider, dimensions, ask_for_stream_usage)
    return provider_client


def _methods_of(provider_client: Any) -> tuple[Method, ...]:
    if hasattr(_owner(provider_client, "chat.completions"), "create"):
        return _OPENAI
    if hasattr(_owner(provider_client, "messages"), "create"):
        return _ANTHROPIC
    raise TypeError(f"wrap() takes a client of openai or anthropic, not {type(provider_client).__name__}")


def _owner(provider_client: Any, path: str) -> Any:
    """The object at a dotted path, None where this SDK has no such thing."""
    found = provider_client
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def _track_copies(
    client: Client,
    provider_client: Any,
    name: str,
    provider: Optional[str],
    dimensions: Mapping[str, Any],
    asks_for_usage: bool,
) -> None:
    """`with_options(…)` and `copy(…)` make clients of their own, which are to be tracked as well."""
    copy = getattr(provider_client, name, None)
    if copy is None:
        return

    def copy_tracked(*args: Any, **kwargs: Any) -> Any:
        return wrap(client, copy(*args, **kwargs), provider, dimensions, ask_for_stream_usage=asks_for_usage)

    setattr(provider_client, name, copy_tracked)
