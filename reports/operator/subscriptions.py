"""Every organization's subscription: which plan, until when, what it brings, and whether it is paid for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_GET

from accounts.models import Organization
from billing.contracts import Contract
from billing.invoices.owed import Owed, PaymentState, owed_by_each
from billing.models import SubscriptionChange, Suspension
from billing.plans import DEFAULT_PLAN, versions_on
from billing.subscribers import Present, SubscriptionState, present_of, subscribers
from billing.suspending import present_suspension
from core.csvcells import csv_text
from core.money import usd_text
from core.periods import local_day
from core.tenancy import unscoped
from reports.operator.access import operator_only

PAGE = "operator:subscriptions"
A_PAGE = 50
MOST_DECISIONS = 20
MOST_PAST = 5
NO_PLAN = "none"
SUSPENDED = "suspended"
STATES = {
    SubscriptionState.ACTIVE.value: "Active",
    SubscriptionState.TRIAL.value: "In a trial",
    SubscriptionState.CHANGING.value: "Changing",
    SubscriptionState.LEAVING.value: "Canceled",
    NO_PLAN: "No plan",
    SUSPENDED: "Suspended",
}
PAYMENTS = {
    PaymentState.PAID.value: "Paid",
    PaymentState.OPEN.value: "Open",
    PaymentState.OVERDUE.value: "Overdue",
    PaymentState.REFUSED.value: "Refused",
    PaymentState.STOPPED.value: "Calls stopped",
}
_COLUMNS = (
    "organization", "slug", "plan", "state", "period_start", "period_end", "since", "next_change_on", "next_plan",
    "fee_usd", "payment", "owed", "suspended",
)  # fmt: skip


class Row(msgspec.Struct, frozen=True):
    """One organization; `owed` is None for one that was never billed, `present` for one without a plan."""

    organization: Organization
    present: Present | None
    started_on: dt.date | None
    owed: Owed | None
    is_suspended: bool

    @property
    def plan(self) -> str:
        return self.present.version.plan.code if self.present is not None else NO_PLAN

    @property
    def states(self) -> tuple[str, ...]:
        state = self.present.state.value if self.present is not None else NO_PLAN
        return (state, SUSPENDED) if self.is_suspended else (state,)

    def payment(self, at: dt.datetime) -> str:
        if self.owed is None:
            return ""
        return self.owed.state(local_day(at, self.organization.zone)).value


class Asked(msgspec.Struct, frozen=True):
    """What the address asks for; empty is everything."""

    words: str = ""
    plan: str = ""
    state: str = ""
    payment: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> Asked:
        given = {
            name: request.GET.get(name, "").replace("\0", "").strip() for name in ("q", "plan", "state", "payment")
        }
        return cls(
            given["q"][:100],
            given["plan"],
            given["state"] if given["state"] in STATES else "",
            given["payment"] if given["payment"] in PAYMENTS else "",
        )

    def fits(self, row: Row, at: dt.datetime) -> bool:
        wanted = self.words.lower()
        return (
            (not wanted or wanted in row.organization.name.lower() or wanted in row.organization.slug)
            and (not self.plan or row.plan == self.plan)
            and (not self.state or self.state in row.states)
            and (not self.payment or row.payment(at) == self.payment)
        )

    def url(self, name: str = PAGE, page: int = 1) -> str:
        given = {"q": self.words, "plan": self.plan, "state": self.state, "payment": self.payment}
        query = {key: value for key, value in given.items() if value} | ({"page": str(page)} if page > 1 else {})
        return reverse(name) + (f"?{urlencode(query)}" if query else "")


@require_GET
@operator_only
def index(request: HttpRequest) -> HttpResponse:
    """`?q=`, `?plan=` (a code, or none), `?state=`, `?payment=`."""
    at, asked = now(), Asked.of(request)
    found = _chosen(asked, at)
    page = Paginator(found, A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": {"title": "Subscriptions"},
        "rows": [_shown(row, at) for row in page],
        "pages": page,
        "count": len(found),
        "fee_nanos": sum(row.present.fee_nanos for row in found if row.present is not None),
        "paying": sum(1 for row in found if row.present is not None and row.present.fee_nanos),
        "asked": asked,
        "menus": _menus(asked),
        "is_filtered": asked != Asked(),
        "csv_url": asked.url("operator:subscriptions-csv"),
        "older": asked.url(page=page.next_page_number()) if page.has_next() else None,
        "newer": asked.url(page=page.previous_page_number()) if page.has_previous() else None,
    }
    return render(request, "operator/subscriptions.html", context)


@require_GET
@operator_only
def export(request: HttpRequest) -> HttpResponse:
    at = now()
    rows = [_cells(row, at) for row in _chosen(Asked.of(request), at)]
    response = HttpResponse(csv_text([_COLUMNS, *rows]), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="subscriptions-{at:%Y-%m-%d}.csv"'
    return response


def _chosen(asked: Asked, at: dt.datetime) -> list[Row]:
    return [row for row in _rows(at) if asked.fits(row, at)]


def _rows(at: dt.datetime) -> list[Row]:
    """Every organization, by name."""
    contracts: dict[int, tuple[Contract, dt.date]] = {
        one.organization.pk: (one.contract, one.started_on) for one in subscribers()
    }
    owed = owed_by_each()
    with unscoped("the operator lists every subscription"):
        organizations = list(Organization.objects.order_by("name", "pk"))
        suspended = set(Suspension.objects.filter(ended_at=None).values_list("organization_id", flat=True))
    found = []
    for one in organizations:
        contract, started_on = contracts.get(one.pk, (None, None))
        present = present_of(contract, at) if contract is not None else None
        found.append(Row(one, present, started_on, owed.get(one.pk), one.pk in suspended))
    return found


def _shown(row: Row, at: dt.datetime) -> dict[str, Any]:
    payment = row.payment(at)
    return {
        "row": row,
        "url": reverse("operator:organization", args=[row.organization.slug]),
        "state": row.states[0],
        "state_words": STATES[row.states[0]],
        "last_day": row.present.period.ends_on - dt.timedelta(days=1) if row.present is not None else None,
        "payment": payment,
        "payment_words": PAYMENTS.get(payment, ""),
        "owed": Decimal(row.owed.open_minor).scaleb(-2) if row.owed is not None and row.owed.open_minor else None,
    }


def _menus(asked: Asked) -> list[dict[str, Any]]:
    plans = {code: one.name for code, one in versions_on(now().date()).items()} | {NO_PLAN: "No plan"}
    return [
        _menu("Plan", "plan", plans, asked.plan, asked),
        _menu("State", "state", STATES, asked.state, asked),
        _menu("Payment", "payment", PAYMENTS, asked.payment, asked),
    ]


def _menu(key: str, name: str, choices: dict[str, str], chosen: str, asked: Asked) -> dict[str, Any]:
    options: Sequence[tuple[str, str]] = [("", "All"), *choices.items()]
    return {
        "key": key,
        "label": dict(options).get(chosen, chosen),
        "options": [
            {
                "label": label,
                "url": msgspec.structs.replace(asked, **{name: value}).url(),
                "is_current": value == chosen,
            }
            for value, label in options
        ],
    }


def _cells(row: Row, at: dt.datetime) -> tuple[str, ...]:
    present = row.present
    following = present.following if present is not None else None
    return (
        row.organization.name,
        row.organization.slug,
        row.plan if present is not None else "",
        row.states[0],
        str(present.period.starts_on) if present is not None else "",
        str(present.period.ends_on - dt.timedelta(days=1)) if present is not None else "",
        str(row.started_on or ""),
        str(following[0]) if following else "",
        following[1].plan.code if following else "",
        usd_text(present.fee_nanos) or "" if present is not None else "",
        row.payment(at),
        str(Decimal(row.owed.open_minor).scaleb(-2)) if row.owed is not None else "",
        "yes" if row.is_suspended else "no",
    )


# ── Of one organization ──


def panel(organization: Organization, at: dt.datetime) -> dict[str, Any]:
    """For the organization's page. Needs its scope."""
    contract = Contract.load(organization)
    present = present_of(contract, at) if contract is not None else None
    is_trial = contract is not None and contract.trial_ends_on(contract.today(at)) is not None
    is_leaving = present is not None and present.state in (SubscriptionState.LEAVING, SubscriptionState.CHANGING)
    return {
        "present": present,
        "last_day": present.period.ends_on - dt.timedelta(days=1) if present is not None else None,
        "is_trial": is_trial,
        "can_cancel": present is not None and not is_leaving and present.version.plan.code != DEFAULT_PLAN,
        "can_resume": is_leaving,
        "decisions": list(SubscriptionChange.objects.select_related("plan").order_by("-number")[:MOST_DECISIONS]),
        "suspension": present_suspension(organization),
        "suspensions": list(Suspension.objects.exclude(ended_at=None).order_by("-begun_at")[:MOST_PAST]),
    }
