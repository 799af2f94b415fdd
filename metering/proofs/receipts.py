"""Every stored cost = counts × rates of the price version the event names."""

from __future__ import annotations

from metering.proofs.subject import MOST_LISTED, CheckResult, Difference, Subject


def check(subject: Subject) -> CheckResult:
    counted = subject.recount
    return CheckResult(
        "receipts",
        "Costs worked out again from their price versions equal the stored ones",
        counted.figures.requests,
        "events",
        counted.wrong_cost_count,
        tuple(
            Difference(f"event {wrong.event_id}", wrong.field, wrong.expected, wrong.found)
            for wrong in counted.wrong_costs[:MOST_LISTED]
        ),
    )
