"""One call of the API: what was asked, and the ways to answer that all families share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from billing.providers.stripe.fake import events
from billing.providers.stripe.fake.errors import InvalidRequestError, missing
from billing.providers.stripe.fake.params import Params
from billing.providers.stripe.fake.state import Document, State

API_VERSION = "2026-10-28.endive"


class Call(msgspec.Struct, frozen=True):
    """`id` is the object in the path, or empty; `base_url` where the hosted pages are."""

    state: State
    params: Params
    id: str
    base_url: str
    request_id: str
    idempotency_key: str | None = None
    path: str = ""

    def get(self, kind: str, id: str | None = None, param: str = "id") -> Document:  # noqa: A002
        """The object of that kind. Raises InvalidRequestError (404) for none, and for another kind's id."""
        wanted = self.id if id is None else id
        found = self.state.find(wanted)
        if found is None or found["object"] != kind:
            raise missing(kind, wanted, param)
        return found

    def now(self, customer: Document | None = None) -> int:
        return self.state.now(customer["test_clock"] if customer else None)

    def emit(self, type: str, document: Document, previous: Document | None = None) -> None:  # noqa: A002
        events.emit(self.state, type, document, previous, self.request_id, self.idempotency_key)


Handler = Callable[[Call], Document]


def page(call: Call, kind: str, wanted: Callable[[Document], bool] = lambda _: True) -> Document:
    """A list, newest first, with Stripe's cursors."""
    limit = call.params.integer("limit")
    if limit is not None and not 1 <= limit <= 100:
        raise InvalidRequestError("Invalid integer: limit must be between 1 and 100", param="limit")
    after, before = call.params.text("starting_after"), call.params.text("ending_before")
    call.params.close()
    found = list(call.state.newest(kind, wanted))
    size = limit or 10
    if after:
        found = found[_place(found, after, "starting_after") + 1 :]
        rest, found = len(found) > size, found[:size]
    elif before:
        found = found[: _place(found, before, "ending_before")]
        rest, found = len(found) > size, found[-size:]
    else:
        rest, found = len(found) > size, found[:size]
    return listed(found, has_more=rest, url=call.path)


def listed(data: list[Document], *, has_more: bool = False, url: str = "") -> Document:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def _place(found: list[Document], id: str, param: str) -> int:  # noqa: A002
    for place, document in enumerate(found):
        if document["id"] == id:
            return place
    raise missing("object", id, param)


def expanded(state: State, document: Document, paths: list[Any]) -> Document:
    """`latest_invoice.payments`: ids on the path become what they name. Unknown paths are refused as Stripe does."""
    for path in paths:
        if not isinstance(path, str) or path.count(".") > 3:
            raise InvalidRequestError("You cannot expand more than 4 levels of a property.", param="expand")
        _expand(state, document, path.split("."))
    return document


def _expand(state: State, document: Any, path: list[str]) -> None:
    if isinstance(document, list):
        for part in document:
            _expand(state, part, path)
        return
    name = path[0]
    if not isinstance(document, dict) or name not in document:
        raise InvalidRequestError(
            f"This property cannot be expanded ({name}).", code="property_not_expandable", param="expand"
        )
    if isinstance(document[name], str):
        document[name] = state.find(document[name]) or document[name]
    if len(path) > 1 and document[name] is not None:
        _expand(state, document[name], path[1:])


def public(value: Any) -> Any:
    """Without what only the server itself knows: names that begin with an underscore."""
    if isinstance(value, dict):
        return {name: public(part) for name, part in value.items() if not name.startswith("_")}
    if isinstance(value, list):
        return [public(part) for part in value]
    return value
