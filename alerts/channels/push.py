"""Push messages to the browsers somebody allowed them in, one row a device."""

from __future__ import annotations

from alerts.channels.email import reachable
from alerts.channels.errors import RefusedError
from alerts.letters import letter_of
from alerts.models import Dispatch
from alerts.push import Message
from alerts.push.delivery import deliver


def send(dispatch: Dispatch) -> None:
    member, device, fact = reachable(dispatch), dispatch.device, dispatch.fact
    if device is None or device.user_id != member.user_id:
        # Somebody else has logged in there since.
        raise RefusedError("The device is another person's now.")
    letter = letter_of(fact, dispatch.organization)
    # Of what was said about the same thing only the newest is worth reading.
    tag = f"{fact.kind}:{fact.scope}:{fact.ref}"
    deliver(device, Message(letter.subject, letter.lead, letter.path, tag).content)
