"""What is compared to prove a month. The truth is the events themselves, counted in Python from their rows.

A check is a function from a `Subject` to a `CheckResult`. Apps above metering add theirs (invoices) by `add_check`
when they are ready.
"""

from __future__ import annotations

CHECKS: dict[str, str] = {
    "events": "metering.proofs.events.check",
    "keys": "metering.proofs.keys.check",
    "receipts": "metering.proofs.receipts.check",
    "hours": "metering.proofs.rollups.check_hours",
    "days": "metering.proofs.rollups.check_days",
    "chats": "metering.proofs.rollups.check_chats",
    "files": "metering.proofs.rollups.check_files",
    "latencies": "metering.proofs.rollups.check_latencies",
    "rates": "metering.proofs.rollups.check_rates",
    "queries": "metering.proofs.queries.check",
    "export": "metering.proofs.exports.check",
    "api": "metering.proofs.api.check",
}


def add_check(name: str, path: str) -> None:
    """Let another app's figures be proved with the others: `path` names its check function."""
    CHECKS[name] = path
