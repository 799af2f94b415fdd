"""Every kind of fact that people and programs can be told of, in the order the documentation lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from accounts.models import Role
from alerts import payloads
from alerts.payloads import Data

_MONEY = frozenset({Role.OWNER, Role.ADMIN, Role.FINANCE})
_RUNNING = frozenset({Role.OWNER, Role.ADMIN})


@dataclass(frozen=True)
class Kind:
    """`roles` are told by default when the fact is about the organization; team admins also of what is their team's.

    `data` is what it says. Of a kind that `names_its_readers`, a fact that names people, or is not about the whole
    organization, is told to those people and the team's admins alone.
    """

    name: str
    title: str
    about: str
    data: type[Data]
    roles: frozenset[Role]
    tells_team_admins: bool = False
    names_its_readers: bool = False


_ALL = (
    Kind(
        "usage.threshold",
        "Usage rule",
        "A rule about usage fires or is over again.",
        payloads.UsageThreshold,
        _RUNNING,
        tells_team_admins=True,
    ),
    Kind(
        "usage.anomaly",
        "Unusual usage",
        "Usage is far from what is usual at this hour.",
        payloads.UsageAnomaly,
        _RUNNING,
        tells_team_admins=True,
    ),
    Kind("usage.daily_summary", "Daily summary", "What was used yesterday.", payloads.DailySummary, frozenset()),
    Kind(
        "usage.weekly_summary",
        "Weekly summary",
        "What was used last week, beside the week before.",
        payloads.WeeklySummary,
        frozenset(),
    ),
    Kind(
        "rate_limit.frequent",
        "Frequent rate limiting",
        "Calls are refused often.",
        payloads.RateLimitFrequent,
        _RUNNING,
        tells_team_admins=True,
    ),
    Kind(
        "budget.threshold",
        "Budget threshold",
        "A budget's threshold is reached.",
        payloads.BudgetThreshold,
        _MONEY,
        tells_team_admins=True,
    ),
    Kind("credits.low", "Credits low", "Credits have fallen below what is set as low.", payloads.CreditsLow, _MONEY),
    Kind(
        "invoice.finalized",
        "Invoice finalized",
        "A month's invoice or a credit note is issued.",
        payloads.InvoiceFinalized,
        _MONEY,
    ),
    Kind("invoice.paid", "Invoice paid", "An invoice is paid in full.", payloads.InvoicePaid, _MONEY),
    Kind(
        "payment.failed", "Payment failed", "A payment is refused; it is tried again.", payloads.PaymentFailed, _MONEY
    ),
    Kind(
        "payment.recovered",
        "Payment recovered",
        "What was due is paid; calls go on.",
        payloads.PaymentRecovered,
        _MONEY,
    ),
    Kind(
        "payment.disputed",
        "Payment disputed",
        "A payment is disputed by the card's owner.",
        payloads.PaymentDisputed,
        _MONEY,
    ),
    Kind(
        "calls.suspended",
        "Calls suspended",
        "Calls are refused until what is due is paid.",
        payloads.CallsSuspended,
        _MONEY,
    ),
    Kind(
        "report.ready",
        "Report ready",
        "A report can be downloaded.",
        payloads.ReportReady,
        _MONEY,
        tells_team_admins=True,
        names_its_readers=True,
    ),
    Kind(
        "report.failed",
        "Report not made",
        "A scheduled report could not be made, or is paused.",
        payloads.ReportFailed,
        _MONEY,
        names_its_readers=True,
    ),
    Kind("key.created", "API key created", "An API key is made.", payloads.KeyCreated, _RUNNING),
    Kind("member.joined", "Member joined", "A person accepts an invitation.", payloads.MemberJoined, _RUNNING),
    Kind(
        "webhook.disabled",
        "Webhook disabled",
        "A webhook failed for days, or is gone; it is told no more.",
        payloads.WebhookDisabled,
        _RUNNING,
    ),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
# Nobody chooses it: who asks for one gets it.
TEST = Kind("webhook.test", "Test message", "Somebody asked for a test message.", payloads.WebhookTest, frozenset())


def check(kind: str, data: Mapping[str, Any]) -> None:
    """Raises KeyError for a kind that is none, msgspec.ValidationError for data that is not just what its kind says."""
    if msgspec.to_builtins(msgspec.convert(dict(data), KINDS[kind].data)) != dict(data):
        raise msgspec.ValidationError(f"{kind} was told with more, or in another form, than its kind says: {data}")
