"""Asking before a call that does not go through the gateway: reserve, then settle or release."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import quote

from tokenledger.answers import read
from tokenledger.connection import Connection
from tokenledger.errors import TokenledgerError
from tokenledger.events import EventFields, make_event

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

logger = logging.getLogger("tokenledger")

ADMISSIONS = "/v1/admissions"
_LABELS = ("user", "project", "feature", "tool", "integration", "end_user", "tags")


@dataclass(frozen=True)
class Remaining:
    """What is left beside this call under its tightest limits; None without a limit of that kind."""

    tokens: Optional[int] = None
    cost_usd: Optional[Decimal] = None
    credits: Optional[int] = None


@dataclass(frozen=True)
class Admitted:
    """What the server said."""

    id: str
    expires_at: dt.datetime
    remaining: Remaining


class Admission:
    """A reservation, until `expires_at`. Left without `settle`, or with an exception, its block releases it.

    One that is neither settled nor released becomes an event by its estimate when it expires.
    """

    def __init__(
        self, connection: Connection, model: str, asked: Mapping[str, Any], dimensions: Mapping[str, Any]
    ) -> None:
        self._connection = connection
        self._model = model
        self._dimensions = dimensions
        self._is_open = True
        # The server knows a request that is sent again by its id.
        body = {"id": uuid.uuid4().hex, "model": model, **asked, **_labels(dimensions)}
        given = {name: value for name, value in body.items() if value is not None}
        admitted = read(Admitted, connection.ask("POST", ADMISSIONS, body=given))
        self.id = admitted.id
        self.expires_at = admitted.expires_at
        self.remaining = admitted.remaining

    def settle(self, *, usage: Any, model: Optional[str] = None, **fields: Unpack[EventFields]) -> None:
        """Say what was used: an event, which takes the place of the reservation. Its id is the admission's,
        its model, unless given, the one that was asked about.

        Raises ConnectionFailed or ApiError when the server does not take it; calling it again is safe.
        """
        # From here on the call has been made, whatever becomes of telling so: releasing would forget it.
        self._is_open = False
        event = make_event(model or self._model, usage, self._dimensions, {"id": self.id, **fields})
        if "occurred_at" not in fields:
            del event["occurred_at"]  # when it was admitted
        self._connection.ask("POST", f"{self._path}/settle", body=event)

    def release(self) -> None:
        """Give the reservation back: nothing was used."""
        self._is_open = False
        self._connection.ask("POST", f"{self._path}/release", body={})

    @property
    def _path(self) -> str:
        return f"{ADMISSIONS}/{quote(self.id, safe='')}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if not self._is_open:
            return
        try:
            self.release()
        except TokenledgerError:
            # The block's own outcome matters more.
            logger.warning("admission %s is not released and holds until %s", self.id, self.expires_at, exc_info=True)


def _labels(dimensions: Mapping[str, Any]) -> dict[str, Any]:
    """The dimensions that limits and estimates know; a chat by its id."""
    labels = {name: dimensions.get(name) for name in _LABELS}
    if "chat" in dimensions:
        labels["chat"] = dimensions["chat"]["id"]
    return labels
