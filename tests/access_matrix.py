"""Who gets what at every address. test_access_matrix.py tries each row as each role, and fails for an address
that has no row.

Add a row beside your URL pattern:

- `Page(name, roles)` is a page below /o/<organization>/. `roles` get `ok`; other members 403, strangers 404,
  and who is not logged in, or comes with an API key, is sent to the log-in page.
- `Endpoint(name, scope)` is part of the API. Only keys get in: Acme's with the scope `ok`, one of Acme's without
  it 403, Globex's `foreign` (404 for one thing, 200 for a list, which must be free of Acme's names).
- `Everybody(name, **statuses)` is anything else, with each status given.

Arguments of the address come from ARGUMENTS by name, unless the row has its own. What Acme owns is called
ACMEONLY-something in these tests, and no stranger's answer may contain that word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ALL = "viewer member finance admin owner"
MANAGERS = "admin owner"
ROLES = ("anonymous", "stranger", "viewer", "member", "finance", "admin", "owner", "foreign_key")


@dataclass(frozen=True)
class Row:
    name: str
    method: str = "GET"
    ok: int = 200
    args: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    def expected(self) -> dict[str, int]:
        raise NotImplementedError


@dataclass(frozen=True)
class Page(Row):
    roles: str = ALL

    def __init__(self, name: str, roles: str = ALL, **fields: Any) -> None:
        defaults: dict[str, Any] = {"method": "GET", "ok": 200, "args": {}, "data": {}}
        for key, value in {**defaults, **fields, "name": name, "roles": roles}.items():
            object.__setattr__(self, key, value)

    def expected(self) -> dict[str, int]:
        statuses = {role: self.ok if role in self.roles.split() else 403 for role in ALL.split()}
        return {"anonymous": 302, "stranger": 404, **statuses, "foreign_key": 302}


def Operators(name: str, *, args: Any = None, method: str = "GET") -> Everybody:  # noqa: N802  (a kind of row)
    """A page of the operator's area: as if there were nothing, whatever somebody is in an organization."""
    return Everybody(name, 404, args=args, method=method, anonymous=302, foreign_key=302)


@dataclass(frozen=True)
class Endpoint(Row):
    scope: str | None = "admin"
    foreign: int = 404

    def __init__(self, name: str, scope: str | None = "admin", **fields: Any) -> None:
        defaults: dict[str, Any] = {"method": "GET", "ok": 200, "args": {}, "data": {}, "foreign": 404}
        for key, value in {**defaults, **fields, "name": name, "scope": scope}.items():
            object.__setattr__(self, key, value)

    def expected(self) -> dict[str, int]:
        # A log-in of the web pages opens nothing here.
        return {**dict.fromkeys(ROLES, 401), "foreign_key": self.foreign, "own_key": self.ok, "weak_key": 403}


@dataclass(frozen=True)
class Everybody(Row):
    statuses: Mapping[str, int] = field(default_factory=dict)

    def __init__(
        self, name: str, default: int = 200, *, args: Any = None, method: str = "GET", **statuses: int
    ) -> None:
        values = {"name": name, "method": method, "ok": default, "args": args or {}, "data": {}, "statuses": statuses}
        for key, value in values.items():
            object.__setattr__(self, key, value)

    def expected(self) -> dict[str, int]:
        return {**dict.fromkeys(ROLES, self.ok), **self.statuses}


SEERS = "finance admin owner"
# Who sees everybody's usage.
ADVISED = "viewer finance admin owner"
KEY_PEOPLE = "member finance admin owner"

ROWS: list[Row] = [
    # ── accounts: pages ──
    Everybody("accounts:home", 302),
    Everybody("accounts:organization-create", anonymous=302, foreign_key=302),
    Everybody("accounts:invitation"),
    Page("accounts:switch", ALL, method="POST", ok=302),
    Page("accounts:leave", ALL),
    Page("accounts:organization", MANAGERS),
    Page("accounts:members", SEERS),
    Page("accounts:member-invite", MANAGERS),
    Page("accounts:member", MANAGERS),
    Page("accounts:member-remove", MANAGERS),
    Page("accounts:invitation-renew", MANAGERS, method="POST", ok=302),
    Page("accounts:invitation-revoke", MANAGERS),
    Page("accounts:teams", SEERS),
    Page("accounts:team-create", MANAGERS),
    Page("accounts:team", SEERS),
    Page("accounts:team-change", MANAGERS),
    Page("accounts:team-delete", MANAGERS),
    Page("accounts:team-place-add", MANAGERS, method="POST", ok=302),
    Page("accounts:team-place", MANAGERS, method="POST", ok=302),
    Page("accounts:department-create", MANAGERS),
    Page("accounts:department", MANAGERS),
    Page("accounts:department-delete", MANAGERS),
    Page("accounts:project-create", MANAGERS),
    Page("accounts:project", MANAGERS),
    Page("accounts:project-archive", MANAGERS, method="POST", ok=302),
    Page("accounts:keys", KEY_PEOPLE),
    Page("accounts:key-create", "member admin owner"),
    # A member's own keys only: anybody else's does not exist for them (test_keys_pages.py).
    *(
        row
        for name in ("accounts:key", "accounts:key-rotate", "accounts:key-revoke")
        for row in [Everybody(name, anonymous=302, stranger=404, viewer=403, member=404, finance=403, foreign_key=302)]
    ),
    Page("accounts:audit", MANAGERS),
    Page("accounts:audit-export", MANAGERS),
    # ── reports: pages ──
    # The application itself is everybody's; `start` leads on to a page that is not.
    Everybody("reports:manifest"),
    Everybody("reports:worker"),
    Everybody("reports:offline"),
    Everybody("reports:start", 302),
    Page("reports:quick"),
    Page("reports:quick-live"),
    Page("reports:quick-stream", ok=204),
    Page("reports:overview"),
    Page("reports:overview-live"),
    Page("reports:overview-stream", ok=204),
    Page("reports:series"),
    Page("reports:export", args={"kind": "usage", "file_format": "csv"}),
    Page("reports:export-prepare", method="POST", args={"kind": "usage", "file_format": "csv"}, ok=302),
    Page("reports:recount"),
    Page("reports:choose", args={"page": "overview", "dimension": "model"}),
    Page("reports:chats"),
    Page("reports:chats-csv"),
    # What is not there, and what another member said, is not found by anybody (tests/reports/test_chats.py).
    Everybody("reports:chat", 404, args={"chat_id": "no/such"}, anonymous=302, foreign_key=302),
    Page("reports:files"),
    Page("reports:files-csv"),
    # Nor is a file that only others' calls used (tests/reports/test_files.py).
    Everybody("reports:file", 404, args={"file_id": "no/such"}, anonymous=302, foreign_key=302),
    Everybody("reports:file-csv", 404, args={"file_id": "no/such"}, anonymous=302, foreign_key=302),
    Page("reports:calls"),
    Everybody("reports:call", 404, args={"event_id": "no/such"}, anonymous=302, foreign_key=302),
    Page("reports:usage"),
    Page("reports:features"),
    Page("reports:voice"),
    Page("reports:voice-file"),
    Page("reports:voice-models-file"),
    Page("reports:usage-rows"),
    Page("reports:usage-breakdown"),
    Page("reports:usage-trend"),
    Page("reports:costs"),
    Page("reports:costs-file"),
    Page("reports:comparison"),
    Page("reports:comparison-file"),
    # Nothing has a price there, so there is nothing to keep.
    Page("reports:comparison-keep", ok=422),
    Page("reports:comparisons"),
    # Everybody's usage, which a member does not see (tests/reports/test_kept_comparisons.py).
    Everybody("reports:kept-comparison", anonymous=302, stranger=404, member=404, foreign_key=302),
    Everybody("reports:kept-comparison-again", anonymous=302, stranger=404, member=404, foreign_key=302),
    Everybody("reports:kept-comparison-file", anonymous=302, stranger=404, member=404, foreign_key=302),
    Everybody("reports:kept-comparison-delete", anonymous=302, stranger=404, member=404, viewer=403, foreign_key=302),
    Page("reports:forecast"),
    Page("reports:forecast-file"),
    Page("reports:planning", f"viewer {SEERS}"),
    Page("reports:planning-file", f"viewer {SEERS}"),
    Page("reports:planning-apply", SEERS),
    Page("reports:monthly", "viewer finance admin owner"),
    Page("reports:monthly-file", "viewer finance admin owner"),
    # Of no month.
    Page("reports:monthly-make", "finance admin owner", method="POST", ok=404),
    Page("reports:advice", ADVISED),
    Page("reports:advice-look", SEERS, method="POST", ok=302),
    Page("reports:insight", ADVISED),
    Page("reports:insight-evidence", ADVISED),
    *(Page(f"reports:insight-{act}", SEERS, method="POST", ok=302) for act in ("dismiss", "done", "reopen")),
    Page("reports:tokens"),
    Page("reports:tokens-file"),
    Page("reports:efficiency"),
    Page("reports:efficiency-file"),
    Page("reports:patterns"),
    Page("reports:patterns-file"),
    Page("reports:models"),
    # Members who administer a team are let in, too (tests/reports/test_teams.py).
    Page("reports:teams", "viewer finance admin owner"),
    Page("reports:teams-csv", "viewer finance admin owner"),
    Page("reports:teams-trend", "viewer finance admin owner"),
    Page("reports:cost-centers", "viewer finance admin owner"),
    Page("reports:shared-costs", "viewer finance admin owner"),
    Page("reports:shared-costs-csv", "viewer finance admin owner"),
    Page("reports:landing", ok=302),
    Page("reports:views"),
    # Without a page to save there is none.
    Everybody("reports:view-create", 404, anonymous=302, foreign_key=302),
    Page("reports:view-start", method="POST", ok=302),
    # The one tried is shared: who may share may change it.
    Page("reports:view", SEERS),
    Everybody("reports:view-replace", 404, anonymous=302, viewer=403, member=403, foreign_key=302),
    Page("reports:view-delete", SEERS),
    Page("reports:diagnosis"),
    # A member reads their own alone (tests/reports/diagnosis/test_pages.py).
    Everybody("reports:diagnosis-report", anonymous=302, stranger=404, member=404, foreign_key=302),
    Page("reports:reports"),
    Page("reports:report-new"),
    Page("reports:report-save"),
    # Without a format there is no file.
    Page("reports:report-run", method="POST", ok=422),
    # The one tried is shared: who may share may change it.
    Page("reports:report"),
    Page("reports:report-change", SEERS),
    Page("reports:report-replace", SEERS),
    Page("reports:report-delete", SEERS),
    Page("reports:schedule-new"),
    # Somebody else's schedule is found by who looks after reports (tests/reports/custom/test_pages.py).
    Everybody("reports:schedule", anonymous=302, stranger=404, viewer=404, member=404, foreign_key=302),
    Everybody("reports:schedule-pause", 302, method="POST", stranger=404, viewer=404, member=404),
    Everybody("reports:schedule-delete", anonymous=302, stranger=404, viewer=404, member=404, foreign_key=302),
    # Everybody's usage, which a member does not see (tests/reports/custom/test_results.py).
    Everybody("reports:result", anonymous=302, stranger=404, member=404, foreign_key=302),
    Everybody("reports:result-download", 409, anonymous=302, stranger=404, member=404, foreign_key=302),
    Everybody("reports:result-cancel", 302, method="POST", stranger=404, member=404, viewer=403),
    Page("reports:search"),
    Page("reports:search-options"),
    Page("reports:integrations"),
    Page("reports:integrations-file"),
    Page("reports:integrations-latency"),
    Page("reports:connect"),
    Page("reports:connect-live"),
    # ── the operator ──
    *(Operators(f"operator:{name}") for name in ("overview", "series", "recount")),
    *(Operators(f"operator:{name}", args={"dimension": "model"}) for name in ("by", "by-csv")),
    *(
        Operators(f"operator:{name}")
        for name in ("organizations", "organizations-found", "health", "queue", "prices", "price", "price-set")
    ),
    Operators("operator:price-sync", method="POST"),
    *(Operators(f"operator:{name}") for name in ("billing", "tax-rate-add")),
    *(Operators(f"operator:credits-{act}", args={"slug": "acme"}) for act in ("grant", "adjust", "refund")),
    Operators("operator:tax-decision", args={"slug": "acme"}),
    Operators("operator:tax-rate-end", args={"rate": 1}),
    *(Operators(f"operator:{name}") for name in ("plans", "plan-create", "subscriptions", "subscriptions-csv")),
    *(Operators(f"operator:{name}", args={"code": "startup"}) for name in ("plan", "plan-change", "plan-retire")),
    *(
        Operators(f"operator:{name}", args={"slug": "acme"})
        for name in ("plan-of", "trial-extend", "plan-end", "plan-keep", "calls-suspend", "calls-let-in")
    ),
    *(
        Operators(f"operator:{name}", args={"number": "INV-2026-9001"})
        for name in ("invoice", "invoice-pdf", "invoice-credit")
    ),
    *(
        Operators(f"operator:{name}", args={"slug": "acme", "member": 1})
        for name in ("organization", "impersonation-begin")
    ),
    Operators("operator:impersonation-end", method="POST"),
    # ── alerts: one's own devices ──
    Everybody("alerts:devices", anonymous=302, foreign_key=302),
    Everybody("alerts:subscription-state", 200, anonymous=302, foreign_key=302),
    Everybody("alerts:device-subscribe", 422, method="POST", anonymous=302, foreign_key=302),
    *(
        Everybody(name, 404, method="POST", args={"device": 2**31 - 1}, anonymous=302, foreign_key=302)
        for name in ("alerts:device-remove", "alerts:device-test")
    ),
    # ── alerts: what one is told ──
    Page("alerts:inbox"),
    Page("alerts:inbox-rows"),
    Page("alerts:inbox-count"),
    Page("alerts:inbox-stream", ok=204),
    Page("alerts:inbox-mark", method="POST", ok=302),
    # One's own alone (tests/alerts/notices/test_inbox.py).
    Everybody("alerts:inbox-follow", 404, method="POST", args={"notice": 2**31 - 1}, anonymous=302, foreign_key=302),
    Page("alerts:preferences"),
    Page("alerts:preferences-reset", method="POST", ok=302),
    Page("alerts:hours"),
    # Signed for one person and one kind; this is nobody's.
    Everybody("alerts:unsubscribe", 404, args={"token": "nobody"}),
    # E-mail that was kept: there is none outside of the demo (tests/alerts/test_mailbox.py).
    *(
        Everybody(f"alerts:{name}", 404, args={"mail": "none"}, anonymous=302, foreign_key=302)
        for name in ("mailbox", "mail", "mail-body")
    ),
    # ── alerts: rooms of chat programs ──
    *(Page(f"alerts:{name}", MANAGERS) for name in ("channels", "channel-create", "channel", "channel-delete")),
    Page("alerts:channel-act", MANAGERS, method="POST", ok=302),
    # ── alerts: webhooks ──
    *(
        Page(f"alerts:{name}", MANAGERS)
        for name in (
            "webhooks",
            "webhook-create",
            "webhook",
            "webhook-change",
            "webhook-rotate",
            "webhook-delete",
            "webhook-delivery",
        )
    ),
    Page("alerts:webhook-act", MANAGERS, method="POST", ok=302),
    Page("alerts:webhook-replay", MANAGERS, method="POST", ok=422),
    Page("alerts:webhook-delivery-replay", MANAGERS, method="POST", ok=302),
    # ── alerts: rules and what they found, here of a team: a member of another does not see it ──
    Page("alerts:alerts"),
    Everybody("alerts:alert", anonymous=302, stranger=404, member=404, foreign_key=302),
    *(
        Everybody(
            name,
            302,
            method="POST",
            stranger=404,
            viewer=403,
            member=404,
            finance=403,
        )
        for name in ("alerts:alert-acknowledge", "alerts:alert-resolve", "alerts:rule-switch")
    ),
    # For how long is said in the form; without that there is nothing.
    Everybody("alerts:alert-snooze", 404, method="POST", anonymous=302, foreign_key=302),
    Page("alerts:rules"),
    Page("alerts:rule-create", SEERS),
    # Which rule is said behind the question mark.
    Page("alerts:rule-preview", SEERS, ok=404),
    Page("alerts:rule-unusual", "viewer finance admin owner"),
    Page("alerts:rule-preset", MANAGERS, method="POST", ok=302, args={"name": "daily_limit"}),
    Everybody("alerts:rule", anonymous=302, stranger=404, member=404, foreign_key=302),
    *(
        Everybody(name, anonymous=302, stranger=404, viewer=403, member=404, finance=403, foreign_key=302)
        for name in ("alerts:rule-change", "alerts:rule-archive")
    ),
    # ── metering: pages ──
    Page("metering:imports", MANAGERS),
    Page("metering:import", MANAGERS),
    Page("metering:import-start", MANAGERS, method="POST", ok=302),
    Page("metering:import-progress", MANAGERS),
    Page("metering:import-problems", MANAGERS),
    Page("metering:import-discard", MANAGERS, method="POST", ok=302),
    Page("metering:upstreams", MANAGERS),
    Page("metering:upstream-create", MANAGERS),
    Page("metering:upstream", MANAGERS),
    Page("metering:upstream-delete", MANAGERS),
    Page("metering:upstream-act", MANAGERS, method="POST", ok=302),
    Page("metering:upstream-test", MANAGERS, method="POST"),
    Page("metering:prices", SEERS),
    # Which model it is about is said behind the question mark; without one there is nothing.
    Everybody("metering:price", 404, anonymous=302, viewer=403, member=403, foreign_key=302),
    Everybody("metering:price-reprice", 404, anonymous=302, viewer=403, member=403, finance=403, foreign_key=302),
    Page("metering:price-set", MANAGERS),
    Everybody(
        "metering:price-end",
        404,
        args={"version": 2**31 - 1},
        anonymous=302,
        viewer=403,
        member=403,
        finance=403,
        foreign_key=302,
    ),
    Page("metering:notes", KEY_PEOPLE),
    Page("metering:notes-state", KEY_PEOPLE),
    Page("metering:estimate"),
    Page("metering:integrity", "viewer finance admin owner"),
    Page("metering:integrity-prove", SEERS, method="POST", ok=302),
    # ── billing: pages ──
    Page("billing:plan", SEERS),
    *(
        Page(f"billing:{name}", SEERS)
        for name in ("invoices", "invoices-csv", "invoice", "invoice-draft", "invoice-pdf")
    ),
    Page("billing:credits", SEERS),
    Page("billing:credits-csv", SEERS),
    Page("billing:credits-buy", SEERS),
    Page("billing:credits-rules", SEERS),
    # A purchase that there is not; one that there is: tests/billing/credits/test_pages.py.
    *(
        Everybody(
            f"billing:{name}", 404, args={"top_up": 2**31 - 1}, anonymous=302, viewer=403, member=403, foreign_key=302
        )
        for name in ("credits-purchase", "credits-paid", "credits-withdraw")
    ),
    Page("billing:details", SEERS),
    # Without a number there is nothing to ask about, which is said on the page it leads to.
    Page("billing:tax-number-check", SEERS, method="POST", ok=302),
    Page("billing:invoice-pay", SEERS),
    Page("billing:invoice-prove", SEERS, method="POST", ok=302),
    # To the invoice, where the role is asked; another's is not found.
    Everybody("billing:invoice-find", 302, stranger=404),
    Page("billing:plan-change", "owner", args={"plan": "developer"}),
    Page("billing:plan-cancel", "owner"),
    Page("billing:plan-resume", "owner"),
    Page("billing:budgets"),
    Page("billing:budgets-csv"),
    Page("billing:budget-create", SEERS),
    Page("billing:budget-suggestions", SEERS),
    # A team's budget: a member of another does not see it, a viewer may not set it (tests/billing/budgets).
    *(
        Everybody(name, anonymous=302, stranger=404, viewer=403, member=404, foreign_key=302)
        for name in ("billing:budget-change", "billing:budget-archive")
    ),
    Everybody("reports:budget", anonymous=302, stranger=404, member=404, foreign_key=302),
    # ── accounts: API ──
    Endpoint("accounts-api:keys", foreign=200),
    Endpoint("accounts-api:key"),
    Endpoint("accounts-api:key", method="DELETE"),
    Endpoint("accounts-api:key-rotate", method="POST", ok=201),
    Endpoint("accounts-api:members", foreign=200),
    Endpoint("accounts-api:member"),
    Endpoint("accounts-api:member", method="DELETE", ok=204),
    Endpoint("accounts-api:invitations", foreign=200),
    Endpoint("accounts-api:invitation", method="DELETE", ok=204),
    Endpoint("accounts-api:teams", "usage:read", foreign=200),
    Endpoint("accounts-api:team", "usage:read", args={"team": "canary-team"}),
    Endpoint("accounts-api:team", method="DELETE", ok=204, args={"team": "canary-team"}),
    Endpoint("accounts-api:projects", "usage:read", foreign=200),
    Endpoint("accounts-api:project", "usage:read", args={"project": "canary-project"}),
    Endpoint("accounts-api:audit", foreign=200),
    # ── alerts: API ──
    Endpoint("alerts-api:webhooks", foreign=200),
    Endpoint(
        "alerts-api:webhooks",
        method="POST",
        ok=201,
        foreign=201,
        data={"url": "https://hooks.example.com/", "events": ["credits.low"]},
    ),
    Endpoint("alerts-api:webhook-events", foreign=200),
    Endpoint("alerts-api:webhook"),
    Endpoint("alerts-api:webhook", method="PATCH", data={"events": ["*"]}),
    Endpoint("alerts-api:webhook", method="DELETE", ok=204),
    Endpoint("alerts-api:webhook-test", method="POST", ok=202),
    Endpoint("alerts-api:webhook-rotate", method="POST"),
    Endpoint("alerts-api:webhook-replay", method="POST", ok=422),
    Endpoint("alerts-api:webhook-deliveries"),
    Endpoint("alerts-api:webhook-delivery"),
    Endpoint("alerts-api:webhook-delivery-replay", method="POST", ok=202),
    # ── metering: reading ──
    Endpoint("metering-api:usage", "usage:read", foreign=200),
    Endpoint("metering-api:usage-models", "usage:read", foreign=200),
    Endpoint("metering-api:usage-costs", "usage:read", foreign=200),
    Endpoint("metering-api:usage-focus", "usage:read", foreign=200),
    Endpoint("metering-api:usage-focus-schema", "usage:read", foreign=200),
    Endpoint("metering-api:usage-efficiency", "usage:read", foreign=200),
    Endpoint("metering-api:usage-patterns", "usage:read", foreign=200),
    Endpoint("metering-api:usage-comparison", "usage:read", ok=422, foreign=422),
    Endpoint("metering-api:usage-query", "usage:read", foreign=200, data={"group_by": "model,project,chat"}),
    Endpoint("metering-api:usage-export", "usage:read", foreign=200),
    Endpoint("metering-api:summary", "usage:read", foreign=200),
    Endpoint("metering-api:hourly", "usage:read", foreign=200),
    Endpoint("metering-api:summary-export", "usage:read", foreign=200),
    Endpoint("metering-api:events", "usage:read", foreign=200),
    Endpoint("metering-api:event", "usage:read", args={"event_id": "canary"}),
    Endpoint("metering-api:event-receipt", "usage:read", args={"event_id": "canary"}),
    Endpoint("metering-api:chats", "usage:read", foreign=200),
    Endpoint("metering-api:chat", "usage:read", args={"chat_id": "canary"}),
    Endpoint("metering-api:files", "usage:read", foreign=200),
    Endpoint("metering-api:file", "usage:read", args={"file_id": "canary/file"}),
    # What they say is the same for everybody.
    Everybody("metering-api:openapi"),
    Everybody("metering-api:docs"),
    Everybody("metering-api:healthz"),
    Everybody("metering-api:readyz"),
    # ── metering: upstreams ──
    Endpoint("metering-api:upstreams", foreign=200),
    Endpoint(
        "metering-api:upstreams",
        method="POST",
        ok=201,
        foreign=201,
        data={"name": "vLLM", "protocol": "openai", "base_url": "https://models.example.com/v1"},
    ),
    Endpoint("metering-api:upstream"),
    Endpoint("metering-api:upstream", method="PATCH", data={"is_active": False}),
    Endpoint("metering-api:upstream", method="DELETE", ok=204),
    # ── metering: prices ──
    Endpoint("metering-api:prices", "billing:read", foreign=200),
    # ── billing: pages ──
    Page("billing:reconciliations", "finance admin owner"),
    Page("billing:reconciliation", "finance admin owner"),
    Page("billing:reconciliation-file", "finance admin owner"),
    Page("billing:reconciliation-delete", "finance admin owner", method="POST", ok=302),
    # ── billing: Stripe (not connected in tests) ──
    Page("stripe:card", "finance admin owner", method="POST", ok=409),
    Page("stripe:card-return", "finance admin owner", ok=302),
    Everybody(
        "stripe:credits-pay",
        404,
        method="POST",
        args={"top_up": 2**31 - 1},
        anonymous=302,
        viewer=403,
        member=403,
        foreign_key=302,
    ),
    Everybody("stripe:credits-return", 404, anonymous=302, viewer=403, member=403, foreign_key=302),
    Page("stripe:portal", "finance admin owner", method="POST", ok=409),
    Everybody("stripe:webhook", 404, method="POST"),
    # ── billing: API ──
    Endpoint("alerts-api:alerts", "usage:read", foreign=200),
    Endpoint("alerts-api:alert", "usage:read"),
    Endpoint("alerts-api:alert-acknowledge", method="POST"),
    Endpoint("alerts-api:alert-snooze", method="POST", data={"minutes": 5}),
    Endpoint("alerts-api:alert-resolve", method="POST"),
    Endpoint("alerts-api:alert-rules", "usage:read", foreign=200),
    Endpoint("alerts-api:alert-rules", method="POST", ok=201, foreign=201, data={"condition": "daily_limit"}),
    Endpoint("alerts-api:alert-rule-preview", method="POST", foreign=200, data={"condition": "daily_limit"}),
    Endpoint("alerts-api:alert-rule", "usage:read"),
    Endpoint("alerts-api:alert-rule", method="PATCH", data={"threshold": 5}),
    Endpoint("alerts-api:alert-rule", method="DELETE", ok=204),
    Endpoint("billing-api:plans", "billing:read", foreign=200),
    Endpoint("billing-api:subscription", "billing:read"),
    Endpoint("billing-api:credits", "billing:read", foreign=200),
    Endpoint("billing-api:credits", method="PATCH", foreign=200, data={"low_below_usd": "5"}),
    Endpoint("billing-api:credit-entries", "billing:read", foreign=200),
    Endpoint("billing-api:invoices", "billing:read", foreign=200),
    Endpoint("billing-api:invoice-draft", "billing:read"),
    Endpoint("billing-api:invoice", "billing:read"),
    Endpoint("billing-api:invoice-pdf", "billing:read"),
    Endpoint("billing-api:budgets", "billing:read", foreign=200),
    Endpoint(
        "billing-api:budgets",
        method="POST",
        ok=201,
        foreign=201,
        data={"scope": "organization", "amount_usd": "450"},
    ),
    Endpoint("reports-api:forecast", "usage:read", foreign=200),
    Endpoint("reports-api:insights", "usage:read", foreign=200),
    Endpoint("reports-api:insight", "usage:read"),
    Endpoint("reports-api:insight-evidence", "usage:read"),
    *(Endpoint(f"reports-api:insight-{act}", method="POST") for act in ("dismiss", "done")),
    # What is open is not opened.
    Endpoint("reports-api:insight-reopen", method="POST", ok=409),
    Endpoint("billing-api:budget-suggestions", "billing:read", foreign=200),
    Endpoint("billing-api:budget", "billing:read"),
    Endpoint("billing-api:budget", method="PATCH", data={"amount_usd": "500"}),
    Endpoint("billing-api:budget", method="DELETE", ok=204),
]

# Pages of one's own account, made by allauth: they name no organization and show nothing but request.user's.
OWN_ACCOUNT = (
    "account_",
    "mfa_",
    "usersessions_",
    "socialaccount_",
    "google_",
    "github_",
    "openid_connect_",
)
