"""What the gateway of one process shares between calls, and the way of one call through it.

A `Passage` is opened before anything is forwarded and ended exactly once, by whatever becomes of the call.
"""

from __future__ import annotations

import datetime as dt
import secrets
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import aiohttp
import msgspec
import structlog
from django.conf import settings

from accounts.keys import KeyGrant
from core.errors import ApiError
from metering import pipeline, telemetry
from metering.events import UsageEvent
from metering.gateway import outcome
from metering.gateway.calls import Call
from metering.gateway.corrections import Corrections
from metering.gateway.listing import Listing
from metering.gateway.outcome import Start, Timing
from metering.gateway.settling import Settler
from metering.gateway.spool import Debt, Spool
from metering.gateway.streams import StreamReader
from metering.gateway.upstream import Attempt, new_session
from metering.gateway.upstreams import Route
from metering.limits.admission import Admission, Held
from metering.limits.policy import read_limits
from metering.limits.rates import Rate, Taken
from metering.models.limits import HoldSource
from metering.pipeline import Sender
from metering.recorder import YOUNG_SECONDS, Recorder
from metering.store.base import Problem

logger = structlog.get_logger(__name__)

SPOOL_FOLDER = "gateway-spool"
LARGE_REQUEST_BYTES = 16 * 1024


class Gateway:
    def __init__(self, recorder: Recorder, admission: Admission) -> None:
        self.recorder = recorder
        self.admission = admission
        self.rates = recorder.rates
        self.settler = Settler(recorder, admission, Spool(Path(settings.DATA_DIR) / SPOOL_FOLDER))
        self.session: aiohttp.ClientSession
        self.listing: Listing
        self.corrections = Corrections(self.rates)

    async def start(self) -> None:
        self.session = new_session()
        self.listing = Listing(self.session)
        await self.settler.start()

    async def stop(self) -> None:
        await self.settler.stop()
        await self.corrections.stop()
        await self.session.close()

    async def admit(self, grant: KeyGrant, sender: Sender, call: Call, route: Route, at: dt.datetime) -> Passage:
        """Let a call pass, with all that must be counted and held before it is made.

        Raises ApiError 429 (request rates, limits), 402 (credits), 422 (a project that is none), or
        StorageUnavailableError; then nothing is forwarded and nothing is held.
        """
        organization_id = grant.organization_id
        # What it measures is under its own ids, which nobody else may take.
        sender = msgspec.structs.replace(sender, is_gateway=True)
        await self._check_project(organization_id, sender, call)
        limits = await self.recorder.keyring.about(organization_id, read_limits)
        passage = Passage(self, organization_id, sender, call, route, Start(new_event_id(), at))
        key_rate = Rate(grant.rpm, grant.tpm)
        is_token_bound = key_rate.tokens_per_minute is not None or limits.rate.tokens_per_minute is not None
        tokens = passage.expected_tokens if is_token_bound and call.endpoint.is_metered else 0
        passage.taken = await self.rates.take(organization_id, grant.key_id, key_rate, limits.rate, tokens)
        if not call.endpoint.is_metered:
            return passage
        try:
            if limits.caps:
                passage.held = await self.admission.hold(
                    organization_id, sender, passage.expected, source=HoldSource.GATEWAY
                )
            if passage.held is None:
                unheard = outcome.unheard(passage.start, call, route)
                self.settler.begin(Debt(organization_id, sender, unheard, is_open=True))
        except BaseException as error:
            # It is not made, so it used nothing of its rates.
            self.corrections.add(passage.taken, 0)
            if isinstance(error, ApiError):
                error.headers = {**passage.headers, **error.headers}
            raise
        return passage

    async def _check_project(self, organization_id: int, sender: Sender, call: Call) -> None:
        """A call for a project that is none could be made, but not stored."""
        project = call.labels.project
        if project is None:
            return
        directory = await self.recorder.keyring.directory(organization_id)
        found = pipeline.project_of(directory, sender, project)
        if isinstance(found, Problem) and directory.age > YOUNG_SECONDS:
            self.recorder.keyring.forget_directory(organization_id)
            directory = await self.recorder.keyring.directory(organization_id)
            found = pipeline.project_of(directory, sender, project)
        if isinstance(found, Problem):
            raise ApiError(422, found.code, found.message, param="X-Tokenledger-Project")


class Passage:
    """One call on its way through."""

    def __init__(
        self, gateway: Gateway, organization_id: int, sender: Sender, call: Call, route: Route, start: Start
    ) -> None:
        self._gateway = gateway
        self._organization_id = organization_id
        self._sender = sender
        self._call = call
        self._route = route
        self.start = start
        self._began = time.perf_counter()
        self.taken = Taken()
        self.held: Held | None = None
        self._is_over = False

    @cached_property
    def expected(self) -> UsageEvent:
        return outcome.expected(self.start, self._call, self._route)

    @property
    def expected_tokens(self) -> int:
        usage = self.expected.usage
        return usage.total_tokens if usage is not None else 0

    @property
    def headers(self) -> dict[str, str]:
        """What every answer tells: how the request rates and the credits stand, and what the call is known by."""
        headers = self.taken.headers()
        if self.held is not None and self.held.credits_remaining is not None:
            headers["x-credits-remaining"] = str(self.held.credits_remaining)
        if self._call.endpoint.is_metered:
            headers["x-tokenledger-event"] = self.start.event_id
        return headers

    def forget_request(self) -> None:
        """The upstream has the request. A long stream need not keep a long prompt in memory."""
        if len(self._call.body) > LARGE_REQUEST_BYTES:
            self._call.prompt_tokens = outcome.prompt_tokens(self._call, self._route)
            self._call.document = {}
        self._call.body = b""

    # ── How it ended ──

    def answered(self, route: Route, body: bytes, attempts: list[Attempt]) -> None:
        timing = self._timing()
        self._end(lambda: outcome.answered(self.start, self._call, route, timing, body, attempts))

    def streamed(self, route: Route, reader: StreamReader, attempts: list[Attempt], cut_by: str | None) -> None:
        if cut_by == "upstream":
            telemetry.GATEWAY_UPSTREAM_ERRORS.labels("broken_off").inc()
        timing = self._timing(reader.first_at)
        self._end(lambda: outcome.streamed(self.start, self._call, route, timing, reader, attempts, cut_by))

    def refused(self, route: Route, status: int, code: str | None, attempts: list[Attempt]) -> None:
        timing = self._timing()
        self._end(lambda: outcome.refused(self.start, self._call, route, timing, status, code, attempts))

    def cancelled(self) -> None:
        """The client went before the upstream had said anything."""
        timing = self._timing()
        self._end(lambda: outcome.cancelled(self.start, self._call, self._route, timing))

    def lost(self) -> None:
        """Nobody saw the end of it."""
        self._end(self._unheard)

    def _unheard(self) -> UsageEvent:
        return self.expected if self.held else outcome.unheard(self.start, self._call, self._route)

    def _end(self, event_of: Callable[[], UsageEvent]) -> None:
        if self._is_over or not self._call.endpoint.is_metered:
            return
        self._is_over = True
        try:
            event = event_of()
        except Exception:
            # The client has its answer. Whatever an upstream sent that nobody foresaw, the call was made.
            logger.exception("answer_not_understood", event_id=self.start.event_id)
            event = self._unheard()
        self._settle(outcome.sealed(event))

    def _timing(self, first_at: float | None = None) -> Timing:
        def since_start(at: float) -> int:
            return round((at - self._began) * 1000)

        return Timing(since_start(time.perf_counter()), None if first_at is None else since_start(first_at))

    def _settle(self, event: UsageEvent) -> None:
        hold_id = self.held.id if self.held is not None else None
        self._gateway.settler.settle(Debt(self._organization_id, self._sender, event, is_open=False, hold_id=hold_id))
        if self.taken.counted_in:
            used = event.usage.total_tokens if event.usage is not None else 0
            self._gateway.corrections.add(self.taken, used)


def new_event_id() -> str:
    """Unique, and later ones sort behind earlier ones."""
    return f"{pipeline.MEASURED_PREFIX}{time.time_ns() // 1000:014x}{secrets.token_hex(8)}"
