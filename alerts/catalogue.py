"""Every kind of fact that people and programs can be told of, in the order the documentation lists them."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.models import Role

_MONEY = frozenset({Role.OWNER, Role.ADMIN, Role.FINANCE})
_RUNNING = frozenset({Role.OWNER, Role.ADMIN})


@dataclass(frozen=True)
class Kind:
    """`roles` are told by default when the fact is about the organization; team admins also of what is their team's."""

    name: str
    title: str
    about: str
    roles: frozenset[Role]
    tells_team_admins: bool = False


_ALL = (
    Kind(
        "usage.threshold", "Usage rule", "A rule about usage fires or is over again.", _RUNNING, tells_team_admins=True
    ),
    Kind(
        "usage.anomaly",
        "Unusual usage",
        "Usage is far from what is usual at this hour.",
        _RUNNING,
        tells_team_admins=True,
    ),
    Kind("usage.daily_summary", "Daily summary", "What was used yesterday.", frozenset()),
    Kind("rate_limit.frequent", "Frequent rate limiting", "Calls are refused often.", _RUNNING, tells_team_admins=True),
    Kind("budget.threshold", "Budget threshold", "A budget's threshold is reached.", _MONEY, tells_team_admins=True),
    Kind("credits.low", "Credits low", "Credits have fallen below what is set as low.", _MONEY),
    Kind("invoice.finalized", "Invoice finalized", "A month's invoice or a credit note is issued.", _MONEY),
    Kind("invoice.paid", "Invoice paid", "An invoice is paid in full.", _MONEY),
    Kind("payment.failed", "Payment failed", "A payment is refused; it is tried again.", _MONEY),
    Kind("payment.recovered", "Payment recovered", "What was due is paid; calls go on.", _MONEY),
    Kind("payment.disputed", "Payment disputed", "A payment is disputed by the card's owner.", _MONEY),
    Kind("calls.suspended", "Calls suspended", "Calls are refused until what is due is paid.", _MONEY),
    Kind("report.ready", "Report ready", "A report can be downloaded.", frozenset()),
    Kind("key.created", "API key created", "An API key is made.", _RUNNING),
    Kind("member.joined", "Member joined", "A person accepts an invitation.", _RUNNING),
    Kind("webhook.disabled", "Webhook disabled", "An endpoint has failed for days and is no longer told.", _RUNNING),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
