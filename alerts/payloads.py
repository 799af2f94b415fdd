"""What each kind of fact says: the `data` of its webhook message, and of `core.facts.Fact`.

Money is a decimal string, tokens are integers, times are RFC 3339 in UTC, days those of the organization's zone. Null
is unknown or none, never 0. `page` is the path of the page to look at; messages have it as a whole address (`url`).
Fields are only ever added: programs of others read them.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Amount = Annotated[str, Meta(pattern=r"^-?\d+(\.\d+)?$")]
Moment = Annotated[dt.datetime, Meta(tz=True)]
Tokens = Annotated[int, Meta(ge=0)]
Percent = Annotated[float, Meta(ge=0)]
ScopeName = Literal[
    "organization", "department", "team", "project", "member", "api_key", "model", "feature", "integration"
]
Unit = Literal["usd", "tokens", "requests", "percent", "ms", "hours", "count"]


Finding = Literal["unusual", "new_model", "new_key", "dormant_key", "unusual_hours", "model_switched"]


class Data(msgspec.Struct, kw_only=True, frozen=True):
    page: Annotated[str, Meta(pattern="^/", description="Path of the page to look at.")]


class Scope(msgspec.Struct, kw_only=True, frozen=True):
    """Whom something is about. `of` goes back into the API's filters and `label` is for people; null is everything."""

    scope: ScopeName
    of: str | None
    label: str | None


class UsageThreshold(Data, kw_only=True, frozen=True):
    """A rule fires or is over again, or the allowance is used up to what a webhook asked for (`rule` is null)."""

    state: Literal["firing", "resolved"]
    rule: Rule | None
    about: Scope
    metric: Annotated[str, Meta(description="What was compared, such as cost_usd or allowance_percent.")]
    unit: Unit
    value: Amount | None
    threshold: Amount
    window_start: Moment
    window_end: Moment
    summary: Annotated[str, Meta(description="One sentence for people.")]
    model: Annotated[str | None, Meta(description="Where the rule watches each model by itself.")] = None
    counted_unit: Annotated[
        Unit | None, Meta(description="Of actual and expected; another than unit where value is a percent of them.")
    ] = None
    actual: Annotated[Amount | None, Meta(description="What was counted.")] = None
    expected: Annotated[Amount | None, Meta(description="What is usual, where the rule knows it.")] = None
    drivers: Annotated[
        list[ThresholdDriver], Meta(description="What it came of, what moved most first by each dimension.")
    ] = []


class ThresholdDriver(msgspec.Struct, kw_only=True, frozen=True):
    """What a part had, and what is usual of it where that is known."""

    dimension: str
    label: str
    unit: Unit
    actual: Amount
    expected: Amount | None


class Rule(msgspec.Struct, kw_only=True, frozen=True):
    id: int
    name: str


class UsageAnomaly(Data, kw_only=True, frozen=True):
    """Usage left the range that is usual for the hour or the day."""

    about: Scope
    metric: str
    unit: Unit
    direction: Literal["above", "below"]
    severity: Literal["info", "warning", "critical"]
    window_start: Moment
    window_end: Moment
    actual: Amount
    expected: Amount
    expected_low: Amount | None
    expected_high: Amount | None
    drivers: Annotated[list[Driver], Meta(description="What moved most, the largest first.")]
    summary: str
    finding: Annotated[Finding, Meta(description="A figure out of its range, or what is new about the usage.")] = (
        "unusual"
    )


class Driver(msgspec.Struct, kw_only=True, frozen=True):
    dimension: str
    label: str
    change: Amount


class DailySummary(Data, kw_only=True, frozen=True):
    """What the organization used on the day that ended. A cost is null where nothing of the usage has a price."""

    day: dt.date
    timezone: str
    requests: Annotated[int, Meta(ge=0)]
    errors: Annotated[int, Meta(ge=0)]
    prompt_tokens: Tokens
    completion_tokens: Tokens
    total_tokens: Tokens
    cost_usd: Amount | None
    cost_usd_before: Annotated[Amount | None, Meta(description="Of the day before.")]
    unpriced_tokens: Annotated[int, Meta(ge=0, description="Tokens whose cost is not known and not counted.")]
    models: Annotated[list[UsedModel], Meta(description="At most five, the most expensive first.")]


class UsedModel(msgspec.Struct, kw_only=True, frozen=True):
    model: str | None
    requests: int
    total_tokens: Tokens
    cost_usd: Amount | None


class WeeklySummary(Data, kw_only=True, frozen=True):
    """What the organization used in the week that ended, beside the week before; and how budgets stand since.

    A cost is null where nothing of the usage has a price.
    """

    week_start: Annotated[dt.date, Meta(description="Its Monday.")]
    week_end: Annotated[dt.date, Meta(description="Its Sunday.")]
    timezone: str
    requests: Annotated[int, Meta(ge=0)]
    errors: Annotated[int, Meta(ge=0)]
    total_tokens: Tokens
    cost_usd: Amount | None
    requests_before: Annotated[int, Meta(ge=0, description="Of the week before.")]
    total_tokens_before: Tokens
    cost_usd_before: Amount | None
    unpriced_tokens: Annotated[int, Meta(ge=0, description="Tokens whose cost is not known and not counted.")]
    models: Annotated[list[UsedModel], Meta(description="At most five, the most expensive first.")]
    teams: Annotated[list[UsedPart], Meta(description="At most five, the most expensive first.")]
    members: Annotated[list[UsedPart], Meta(description="At most five, the most expensive first.")]
    budgets: Annotated[list[BudgetStanding], Meta(description="At most five, the most used first.")]


class UsedPart(msgspec.Struct, kw_only=True, frozen=True):
    """`of` goes back into the API's filters, `label` is for people; null is usage of nobody's."""

    of: str | None
    label: str | None
    requests: int
    total_tokens: Tokens
    cost_usd: Amount | None


class BudgetStanding(msgspec.Struct, kw_only=True, frozen=True):
    """How much of a budget is used in its period, when the summary is told."""

    budget: BudgetName
    about: Scope
    used_percent: Percent
    passed_percent: Annotated[Percent, Meta(description="How much of the period has passed.")]
    period_ends_on: Annotated[dt.date, Meta(description="The first day behind it.")]
    is_exceeded: bool


class RateLimitFrequent(Data, kw_only=True, frozen=True):
    """Calls are refused often for being too many."""

    about: Scope
    window_start: Moment
    window_end: Moment
    refused: int
    requests: Annotated[int | None, Meta(description="All calls of that time, refused ones included.")]
    refused_percent: Percent | None
    reasons: list[RefusalReason]
    summary: str


class RefusalReason(msgspec.Struct, kw_only=True, frozen=True):
    reason: str
    refused: int


class BudgetThreshold(Data, kw_only=True, frozen=True):
    """A budget's threshold is reached; once for a budget, a period and a threshold. In dollars or in tokens."""

    budget: BudgetName
    about: Scope
    model: Annotated[str | None, Meta(description="Where the budget is of one model alone.")]
    feature: str | None
    threshold_percent: int
    threshold_name: str
    amount_usd: Amount | None
    amount_tokens: Tokens | None
    actual_usd: Amount | None
    actual_tokens: Tokens | None
    used_percent: Percent
    passed_percent: Annotated[Percent, Meta(description="How much of the period has passed.")]
    projected_percent: Annotated[Percent | None, Meta(description="Used by its end, going on at this pace.")] = None
    runs_out_on: Annotated[dt.date | None, Meta(description="The day it is used up at this pace, if so.")] = None
    period_starts_on: dt.date
    period_ends_on: Annotated[dt.date, Meta(description="The first day behind it.")]
    is_hard: Annotated[bool, Meta(description="Whether calls beyond the budget are refused.")]
    is_exceeded: bool
    drivers: Annotated[list[BudgetDriver], Meta(description="What it went on, the largest first by each dimension.")]
    is_highest: Annotated[
        bool, Meta(description="Whether none higher was reached at once with it; people are told of that one alone.")
    ] = True


class BudgetDriver(msgspec.Struct, kw_only=True, frozen=True):
    """In the budget's unit; the other is null."""

    dimension: str
    label: str
    usd: Amount | None
    tokens: Tokens | None


class BudgetName(msgspec.Struct, kw_only=True, frozen=True):
    id: int
    name: Annotated[str, Meta(description="Empty where nobody gave it one.")]


class CreditsLow(Data, kw_only=True, frozen=True):
    """Credits fell below what is set as low; told once, until there is more again."""

    available_usd: Amount
    threshold_usd: Amount
    auto_top_up: TopUpRule | None


class TopUpRule(msgspec.Struct, kw_only=True, frozen=True):
    below_usd: Amount
    amount_usd: Amount


class InvoiceFinalized(Data, kw_only=True, frozen=True):
    """An invoice or a credit note is issued. Amounts are in `currency`, as on the paper."""

    number: str
    kind: Literal["invoice", "credit_note"]
    corrects: Annotated[str | None, Meta(description="The invoice a credit note takes back.")]
    issued_on: dt.date
    due_on: dt.date | None
    period_start: dt.date
    period_end: Annotated[dt.date, Meta(description="The last day of the period.")]
    currency: str
    net: Amount
    tax: Amount
    gross: Amount


class InvoicePaid(Data, kw_only=True, frozen=True):
    """An invoice's payments reach its sum; `method` and `paid_on` are those of the last one."""

    number: str
    currency: str
    gross: Amount
    paid_on: dt.date
    method: str


class PaymentFailed(Data, kw_only=True, frozen=True):
    """A payment was refused. It is tried again at `next_retry_at`; calls are suspended at `suspends_at`.

    Credits that could not be bought are not tried again by themselves, and suspend nothing.
    """

    number: Annotated[str | None, Meta(description="The invoice; null where credits were to be bought.")]
    currency: str
    amount: Amount
    attempt: int
    code: Annotated[str, Meta(description="The provider's code; empty where it gave none.")]
    reason: str
    next_retry_at: Moment | None
    suspends_at: Moment | None
    pay_url: Annotated[str, Meta(description="Where it can be paid by hand; empty where there is no such page.")]


class PaymentRecovered(Data, kw_only=True, frozen=True):
    """Nothing is due any more of an invoice whose payment was refused."""

    number: str
    currency: str
    gross: Amount
    was_suspended: bool


class PaymentDisputed(Data, kw_only=True, frozen=True):
    """The card's owner asked their bank for the money back."""

    number: Annotated[str | None, Meta(description="The invoice; null where the payment was for credits.")]
    currency: str
    amount: Amount
    reason: str
    status: str
    answer_until: Moment | None


class CallsSuspended(Data, kw_only=True, frozen=True):
    """The gateway refuses calls until the invoice is paid. What is reported goes on being recorded."""

    number: str
    currency: str
    amount: Amount
    attempts: int
    reason: str
    pay_url: str


class ReportReady(Data, kw_only=True, frozen=True):
    """A report was made and can be downloaded at the page."""

    report: str
    period_start: dt.date
    period_end: Annotated[dt.date, Meta(description="The last day of the period.")]
    formats: list[str]
    about: Annotated[Scope | None, Meta(description="Whose usage it is of; null where its own filters say so.")] = None
    revision: Annotated[int, Meta(ge=0, description="0 at first; a report that was made again has one more.")] = 0
    cost_usd: Annotated[Amount | None, Meta(description="Of the period, where the report says it.")] = None
    cost_usd_before: Annotated[Amount | None, Meta(description="Of the period before.")] = None
    total_tokens: Tokens | None = None
    requests: Annotated[int, Meta(ge=0)] | None = None


class ReportFailed(Data, kw_only=True, frozen=True):
    """A report that is made by schedule could not be; its schedule may be paused with it."""

    report: str
    due_at: Moment
    reason: str
    is_paused: Annotated[bool, Meta(description="Whether it is made no more until somebody takes it up.")]


class KeyCreated(Data, kw_only=True, frozen=True):
    """An API key was made, by hand or as the successor of one. Its secret is never told."""

    name: str
    prefix: str
    scopes: list[str]
    project: Annotated[str | None, Meta(description="Its slug.")]
    member: Annotated[str | None, Meta(description="The e-mail of whom it acts for.")]
    created_by: str
    expires_at: Moment | None
    replaces: Annotated[str | None, Meta(description="The prefix of the key it succeeds.")]


class MemberJoined(Data, kw_only=True, frozen=True):
    """Somebody accepted an invitation."""

    email: str
    name: str
    role: str
    invited_by: str | None


class WebhookDisabled(Data, kw_only=True, frozen=True):
    """A webhook was disabled by us: it failed for days, or answered that it is gone (410)."""

    webhook: int
    endpoint: Annotated[str, Meta(description="Its address.")]
    reason: Literal["failing", "gone"]
    failing_since: Moment
    last_problem: str


class WebhookTest(Data, kw_only=True, frozen=True):
    """Sent when somebody asks for it, whatever the webhook's events are; tried once."""

    webhook: int
    asked_by: str
