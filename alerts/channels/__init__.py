"""How people and programs are told: each entry makes the rows of what it will send, in the transaction it is called in.

`address(fact: ToldFact) -> None` is called once for each fact, in the scope of its organization. What it sends, it
sends behind the commit; beat looks after what was not sent.

People are told by `alerts/notices`; what it puts on its way are rows (`Dispatch`), each handed to the sender of its
channel: `send(dispatch) -> None`, which raises one of errors.py when that fails.
"""

CHANNELS: dict[str, str] = {
    "people": "alerts.notices.addressing.address",
    "chat": "alerts.chat.addressing.address",
    "webhook": "alerts.webhooks.outbox.address",
}

SENDERS: dict[str, str] = {
    "email": "alerts.channels.email.send",
    "push": "alerts.channels.push.send",
    "chat": "alerts.channels.chat.send",
}
