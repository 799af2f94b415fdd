"""Events, and their way to the endpoints that listen: signed, at least once, retried."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING

import aiohttp
import structlog

from billing.providers.stripe.fake.state import Document, State

if TYPE_CHECKING:
    from billing.providers.stripe.fake.calls import Call

logger = structlog.get_logger(__name__)

# Seconds after each failed attempt; Stripe goes on for three days, a workbench need not.
_RETRIES = (2, 5, 15, 60, 300, 1800)
_TIMEOUT = aiohttp.ClientTimeout(total=20)


def emit(
    state: State, type: str, document: Document, previous: Document | None, request_id: str | None, key: str | None  # noqa: A002
) -> None:  # fmt: skip
    from billing.providers.stripe.fake.calls import API_VERSION, public

    data: Document = {"object": public(document)}
    if previous is not None:
        data["previous_attributes"] = previous
    listening = [endpoint for endpoint in state.newest("webhook_endpoint") if _hears(endpoint, type)]
    event = state.put(
        {
            "id": state.new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": state.now(document.get("test_clock")),
            "data": data,
            "livemode": False,
            "pending_webhooks": len(listening),
            "request": {"id": request_id, "idempotency_key": key},
            "type": type,
        }
    )
    for endpoint in listening:
        enqueue(state, event["id"], endpoint["id"])


def enqueue(state: State, event: str, endpoint: str) -> None:
    state.database.execute(
        "INSERT INTO delivery (event, endpoint, due_at) VALUES (?, ?, ?)", (event, endpoint, time.time())
    )


def _hears(endpoint: Document, type: str) -> bool:  # noqa: A002
    wanted = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and ("*" in wanted or type in wanted)


def signature(secret: str, payload: bytes, at: int) -> str:
    """The `Stripe-Signature` header: HMAC-SHA256 over time and body, scheme v1."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + payload, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


# ── Endpoints ──


def add_endpoint(state: State, url: str, enabled: list[str], secret: str | None = None) -> Document:
    return state.put(
        {
            "id": state.new_id("we"),
            "object": "webhook_endpoint",
            "api_version": None,
            "application": None,
            "created": state.now(),
            "description": None,
            "enabled_events": enabled,
            "livemode": False,
            "metadata": {},
            "secret": secret or state.new_id("whsec"),
            "status": "enabled",
            "url": url,
        }
    )


def create_endpoint(call: Call) -> Document:
    url = call.params.required("url")
    enabled = [str(name) for name in call.params.items("enabled_events")] or ["*"]
    call.params.skip("description", "api_version", "metadata", "connect")
    call.params.close()
    return add_endpoint(call.state, url, enabled)


def delete_endpoint(call: Call) -> Document:
    endpoint = call.get("webhook_endpoint")
    call.params.close()
    call.state.forget(endpoint["id"])
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


# ── Delivery ──


async def deliver_forever(state: State, every: float = 0.2) -> None:
    """Until canceled: each due delivery once, in the order of the events."""
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        while True:
            due = state.database.execute(
                "SELECT number, event, endpoint, attempts FROM delivery "
                "WHERE NOT is_done AND due_at <= ? ORDER BY number",
                (time.time(),),
            ).fetchall()
            for number, event, endpoint, attempts in due:
                status = await _deliver(session, state.find(event), state.find(endpoint))
                _note(state, number, attempts, status)
            await asyncio.sleep(every)


async def _deliver(session: aiohttp.ClientSession, event: Document | None, endpoint: Document | None) -> int | None:
    if event is None or endpoint is None:
        return 200
    payload = json.dumps(event).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature(endpoint["secret"], payload, int(time.time())),
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with session.post(endpoint["url"], data=payload, headers=headers, allow_redirects=False) as answer:
            return answer.status
    return None


def _note(state: State, number: int, attempts: int, status: int | None) -> None:
    is_done = status is not None and 200 <= status < 300
    if not is_done:
        logger.warning("webhook not taken", status=status, attempt=attempts + 1)
    is_over = attempts >= len(_RETRIES)
    due_at = time.time() + (0 if is_done or is_over else _RETRIES[attempts])
    state.database.execute(
        "UPDATE delivery SET attempts = attempts + 1, status = ?, is_done = ?, due_at = ? WHERE number = ?",
        (status, is_done or is_over, due_at, number),
    )
