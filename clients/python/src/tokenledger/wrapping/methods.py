"""A tracked method: the SDK's own, called with the caller's arguments, its outcome looked at and passed on."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Mapping
from typing import Any

from tokenledger.wrapping.calls import Call, Harmless, inside, is_inside
from tokenledger.wrapping.streams import Managed, observe, observe_parse
from tokenledger.wrapping.told import Told
from tokenledger.wrapping.tracker import Tracker

MARK = "_tokenledger_tracked_by"
KEYWORD = "tokenledger"
# How the SDKs' `with_raw_response` and `with_streaming_response` ask their own methods for what they return.
_RAW_HEADER = "x-stainless-raw-response"
_RAW_AND_READ = "true"


def replace_method(owner: Any, name: str, tracker: Tracker, told: type[Told], *, is_manager: bool) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def tracked(*args: Any, **kwargs: Any) -> Any:
        given = kwargs.pop(KEYWORD, None)
        if is_inside():
            return original(*args, **kwargs)
        if tracker.is_gateway:
            return original(*args, **tracker.with_headers(kwargs, given))
        if is_manager:
            return _managed(original, tracker, told(), args, kwargs, given)
        return _called(original, tracker, told(), args, kwargs, given)

    setattr(owner, name, tracked)


def _managed(
    original: Any, tracker: Tracker, told: Told, args: tuple[Any, ...], kwargs: dict[str, Any], given: Any
) -> Managed:
    asking = tracker.with_usage_asked_for(told, kwargs, is_streamed=True)
    begin = functools.partial(tracker.begin, told, kwargs, given, is_streamed=True)
    with inside():
        manager = original(*args, **asking)
    return Managed(manager, begin)


def _called(
    original: Any, tracker: Tracker, told: Told, args: tuple[Any, ...], kwargs: dict[str, Any], given: Any
) -> Any:
    is_streamed = bool(kwargs.get("stream"))
    asking = tracker.with_usage_asked_for(told, kwargs, is_streamed=is_streamed)
    raw = _raw_mode(kwargs)
    call = tracker.begin(told, kwargs, given, is_streamed=is_streamed)
    try:
        with inside():
            answer = original(*args, **asking)
    except BaseException as error:
        call.failed(error)
        raise
    if inspect.isawaitable(answer):
        return _awaited(answer, call, raw, is_streamed=is_streamed)
    _note(answer, call, raw, is_streamed=is_streamed)
    return answer


async def _awaited(answer: Awaitable[Any], call: Call, raw: str, *, is_streamed: bool) -> Any:
    try:
        with inside():
            awaited = await answer
    except BaseException as error:
        call.failed(error)
        raise
    _note(awaited, call, raw, is_streamed=is_streamed)
    return awaited


def _note(answer: Any, call: Call, raw: str, *, is_streamed: bool) -> None:
    with Harmless():
        if raw == _RAW_AND_READ and not is_streamed:
            call.answered(answer.http_response.json())
        elif raw:
            observe_parse(answer, call, is_streamed=is_streamed)
        elif is_streamed:
            observe(answer, call)
        else:
            call.answered(answer)


def _raw_mode(arguments: Mapping[str, Any]) -> str:
    headers = arguments.get("extra_headers")
    if not isinstance(headers, Mapping):
        return ""
    return next((str(value) for name, value in headers.items() if str(name).lower() == _RAW_HEADER), "")
