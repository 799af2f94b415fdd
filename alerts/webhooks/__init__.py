"""Programs that are told what happens: each fact as one message a webhook, until it is taken. docs/guides/webhooks.md

records     webhooks set up, changed, rotated, disabled
messages    a fact as the bytes that are signed and sent
signing     secrets, and the headers of Standard Webhooks
outbox      which webhook is to be told what: rows; tests and replays
thresholds  what a webhook wants to be told beside that: its own percent, its own credits
claiming    which of them is sent now, by one worker: order, bounds, the circuit
posting     one request, to public addresses only, bounded in time and size
concluding  what came of it, and when it is tried again
delivery    all of that, for one webhook
"""
