"""How people and programs are told: each entry makes the rows of what it will send, in the transaction it is called in.

`address(fact: ToldFact) -> None` is called once for each fact, in the scope of its organization. What it sends, it
sends behind the commit; beat looks after what was not sent.
"""

CHANNELS: dict[str, str] = {
    "webhook": "alerts.webhooks.outbox.address",
}
