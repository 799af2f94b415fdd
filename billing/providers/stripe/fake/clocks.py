"""Test clocks: time that stands still for some customers until it is moved on."""

from __future__ import annotations

from billing.providers.stripe.fake import subscriptions
from billing.providers.stripe.fake.calls import Call
from billing.providers.stripe.fake.errors import InvalidRequestError, without
from billing.providers.stripe.fake.state import Document


def create(call: Call) -> Document:
    frozen = call.params.integer("frozen_time")
    name = call.params.text("name")
    call.params.close()
    if frozen is None:
        raise without("frozen_time")
    return call.state.put(
        {
            "id": call.state.new_id("clock"),
            "object": "test_helpers.test_clock",
            "created": call.now(),
            "deletes_after": call.now() + 30 * 86_400,
            "frozen_time": frozen,
            "livemode": False,
            "name": name,
            "status": "ready",
        }
    )


def retrieve(call: Call) -> Document:
    call.params.close()
    return call.get("test_helpers.test_clock")


def advance(call: Call) -> Document:
    """Everything that falls due on the way happens in its order, at its time."""
    clock = call.get("test_helpers.test_clock")
    target = call.params.integer("frozen_time")
    call.params.close()
    if target is None or target <= clock["frozen_time"]:
        raise InvalidRequestError("The frozen_time must be in the future of the clock.", param="frozen_time")
    while (due := subscriptions.next_due(call.state, clock["id"])) is not None and due[0] <= target:
        clock["frozen_time"] = max(due[0], clock["frozen_time"])
        call.state.put(clock)
        subscriptions.act(call, due[1])
    clock["frozen_time"] = target
    call.state.put(clock)
    call.emit("test_helpers.test_clock.ready", clock)
    return clock
