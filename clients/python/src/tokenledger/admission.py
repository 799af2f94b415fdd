"""Asking before a call that does not go through the gateway: reserve, then settle or release."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Admitted:
    """What the server said: until when the reservation holds, and what is left of each limit."""

    id: str
    allowed: bool
    expires_at: Optional[dt.datetime]
    remaining: Optional[Mapping[str, Any]] = None


class Admission:
    """A reservation. Left without `settle`, or with an exception, its block releases it."""

    def __init__(
        self, connection: Connection, model: str, asked: Mapping[str, Any], context: Mapping[str, Any]
    ) -> None:
        self._connection = connection
        self._model = model
        self._context = context
        # The server knows a request that is sent again by its id.
        self.id = uuid.uuid4().hex
        self._is_open = True
        body = {"id": self.id, "model": model, **{name: value for name, value in asked.items() if value is not None}}
        answer = read(Admitted, connection.ask("POST", ADMISSIONS, body=body))
        self.expires_at = answer.expires_at
        self.remaining: Mapping[str, Any] = answer.remaining or {}

    def settle(self, *, usage: Any, model: Optional[str] = None, **fields: Unpack[EventFields]) -> None:
        """Say what was used: an event, which takes the place of the reservation. Its id is the admission's,
        its model, unless given, the one that was asked about.

        Raises ConnectionFailed or ApiError when the server does not take it; calling it again is safe.
        """
        event = make_event(model or self._model, usage, self._context, {"id": self.id, **fields})
        self._connection.ask("POST", f"{self._path}/settle", body=event)
        self._is_open = False

    def release(self) -> None:
        """Give the reservation back: nothing was used."""
        self._connection.ask("POST", f"{self._path}/release", body={})
        self._is_open = False

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
            # The block's own outcome matters more; the reservation ends by itself.
            logger.warning("admission %s could not be released and ends at %s", self.id, self.expires_at, exc_info=True)
