"""A year of an organization: trial, upgrade, overage, late usage, gifts, a bill taken back, downgrade, cancellation.

Every invoice is held against a calculation that shares nothing with the product but a price and the plans' terms: days
are counted one by one, events are walked through in order, and money is exact fractions until it is rounded.
"""

from __future__ import annotations

import calendar
import datetime as dt
import math
from collections.abc import Iterator
from fractions import Fraction
from zoneinfo import ZoneInfo

import msgspec
import pytest

from accounts.models import Organization
from billing.credits import ledger, wallets
from billing.invoices.closing import close_due_periods
from billing.invoices.crediting import take_back
from billing.models import ClosedPeriod, Invoice, InvoiceKind
from billing.subscriptions import cancel, change_plan, start_subscription
from core.tenancy import organization_scope
from metering.prove import prove_month

from .selling import BY, call, open_shop, use

pytestmark = pytest.mark.django_db
YEAR = 2031
BERLIN = ZoneInfo("Europe/Berlin")
RATE = Fraction(2_500_000_001, 10**6)
CLOSING_DAY = 5
# Plan → fee in nano-dollars, tokens included, whether what is beyond is charged.
PLANS = {
    "free": (0, 100_000, False),
    "developer": (29 * 10**9, 5_000_000, True),
    "startup": (149 * 10**9, 25_000_000, True),
}


class Call(msgspec.Struct, frozen=True):
    name: str
    at: dt.datetime
    tokens: int
    received_at: dt.datetime


def at(month: int, day: int, hour: int = 12, year: int = YEAR) -> dt.datetime:
    return dt.datetime(year, month, day, hour, tzinfo=BERLIN)


class Gift(msgspec.Struct):
    """Promotional credits; `nanos` is what is left of them."""

    given_at: dt.datetime
    nanos: int
    expires_at: dt.datetime | None = None


def gifts() -> list[Gift]:
    """One with half a cent more than can be taken off, one that expires before it is all used, one for good."""
    return [
        Gift(at(2, 20), 40_004_999_999),
        Gift(at(5, 10), 300 * 10**9, at(7, 3)),
        Gift(at(6, 20), 10 * 10**9),
    ]


# ── The independent calculation ──


def half_even(amount: Fraction) -> int:
    return round(amount)


def plan_on(day: dt.date) -> tuple[str, bool]:
    """What was decided, as a person would tell it: the plan of a day, and whether it is a trial."""
    if day < dt.date(YEAR, 1, 15):
        return "developer", True
    if day < dt.date(YEAR, 4, 11):
        return "developer", False
    if day < dt.date(YEAR, 9, 1):
        return "startup", False
    if day < dt.date(YEAR, 11, 1):
        return "developer", False
    return "free", False


def month_days(month: int) -> list[dt.date]:
    return [dt.date(YEAR, month, day) for day in range(1, calendar.monthrange(YEAR, month)[1] + 1)]


def fee_cents(month: int) -> int:
    """Each stretch of days on a plan is a line, rounded by itself to nanos and then to cents."""
    days = month_days(month)
    stretches: dict[str, list[int]] = {}
    for number, day in enumerate(days):
        plan, is_trial = plan_on(day)
        if not is_trial:
            stretches.setdefault(plan, []).append(number)
    total = 0
    for plan, numbers in stretches.items():
        fee = PLANS[plan][0]
        upto = half_even(Fraction(fee * (numbers[-1] + 1), len(days)))
        before = half_even(Fraction(fee * numbers[0], len(days)))
        total += half_even(Fraction(upto - before, 10**7))
    return total


def allowance(month: int) -> int:
    days = month_days(month)
    return math.ceil(Fraction(sum(PLANS[plan_on(day)[0]][1] for day in days), len(days)))


def cost(tokens: int) -> int:
    """In nano-dollars, at $2.500000001 a million."""
    return half_even(tokens * RATE)


def overage_nanos(calls: list[Call], month: int, known_at: dt.datetime) -> int:
    """Calls of the month that were known by then, in order of time and id, beyond what charging days include."""
    charged_from = next((day for day in month_days(month) if PLANS[plan_on(day)[0]][2] and not plan_on(day)[1]), None)
    if charged_from is None:
        return 0
    upto, total, included = 0, 0, allowance(month)
    for one in sorted(calls, key=lambda c: (c.at, c.name)):
        local = one.at.astimezone(BERLIN).date()
        if (local.year, local.month) != (YEAR, month) or one.received_at > known_at:
            continue
        before, upto = upto, upto + one.tokens
        if local < charged_from:
            continue
        over = min(one.tokens, max(0, upto - max(included, before)))
        whole = cost(one.tokens)
        total += whole if over == one.tokens else half_even(Fraction(whole * over, one.tokens))
    return total


def taken_off(given: list[Gift], cents: int, when: dt.datetime) -> int:
    """Whole cents that the gifts of that moment pay of a bill, the soonest to expire first; they are left with less."""
    alive = [one for one in given if one.given_at <= when and (one.expires_at is None or one.expires_at > when)]
    cents = min(cents, sum(one.nanos for one in alive) // 10**7)
    rest = cents * 10**7
    for one in sorted(alive, key=lambda gift: gift.expires_at or at(12, 31)):
        part = min(rest, one.nanos)
        one.nanos -= part
        rest -= part
    return cents


def nets(calls: list[Call]) -> dict[int, int]:
    """In cents, of each month that is billed: fees, what is over, what became known of months before, less gifts."""
    found: dict[int, int] = {}
    charged: dict[int, int] = {}
    given, saved = gifts(), {}
    for month in range(1, 11):
        known_at = at(month + 1, CLOSING_DAY) - dt.timedelta(minutes=15)
        over = overage_nanos(calls, month, known_at)
        net = fee_cents(month) + half_even(Fraction(over, 10**7))
        for earlier in range(1, month):
            now_worth = overage_nanos(calls, earlier, known_at)
            net += half_even(Fraction(now_worth - charged[earlier], 10**7))
            charged[earlier] = now_worth
        charged[month] = over
        saved[month] = taken_off(given, net, at(month + 1, CLOSING_DAY))
        found[month] = net - saved[month]
    assert [month for month, cents in saved.items() if cents] == [2, 5, 6], "the gifts of the year were used"
    assert sum(charged.values()) == sum(overage_nanos(calls, month, at(12, 31)) for month in range(1, 11))
    return found


# ── The year ──


def usage() -> list[Call]:
    calls = []
    for month in range(1, 13):
        for number in range(12):
            when = at(month, 2 * number + 1, hour=number)
            tokens = 1_003_007 * (1 + (month + number) % 4) if month < 11 else 1_009
            calls.append(Call(f"e{month:02}-{number:02}", when, tokens, at(month, 25)))
    # A call of March that is known on 20 April only, when March is closed.
    calls.append(Call("late", at(3, 30), 777_777, at(4, 20)))
    return calls


def use_all(acme: Organization, calls: list[Call]) -> None:
    open_shop(acme)
    for received_at in sorted({one.received_at for one in calls}):
        batch = [call(one.name, one.at, one.tokens) for one in calls if one.received_at == received_at]
        use(acme, batch, received_at=received_at)


def live_through(acme: Organization) -> Iterator[dt.datetime]:
    """What was decided on which day, with the books closed on the fifth of every month: every noon, one by one."""
    decisions = {
        (4, 11): lambda when: change_plan(acme, "startup", by=BY, at=when),
        (8, 20): lambda when: change_plan(acme, "developer", by=BY, at=when),
        (10, 9): lambda when: cancel(acme, by=BY, at=when),
    }
    start_subscription(acme, "developer", by=BY, with_trial=True, at=at(1, 1))
    for days in range(1, 371):
        day = dt.date(YEAR, 1, 1) + dt.timedelta(days=days)
        noon = at(day.month, day.day, year=day.year)
        if (decide := decisions.get((day.month, day.day))) and day.year == YEAR:
            decide(noon)
        for number, gift in enumerate(gifts()):
            if gift.given_at == noon:
                wallets.grant(
                    acme, gift.nanos, f"gift {number}", by=BY, at=noon, expires_at=gift.expires_at, note="Thank you"
                )
        if day.day == CLOSING_DAY:
            close_due_periods(acme, by=BY, at=noon)
        yield noon


@pytest.fixture
def year(acme: Organization) -> Iterator[tuple[Organization, list[Call]]]:
    calls = usage()
    use_all(acme, calls)
    with organization_scope(acme.pk):
        for _ in live_through(acme):
            pass
        yield acme, calls


def test_every_invoice_is_what_a_person_would_have_calculated(year: tuple[Organization, list[Call]]) -> None:
    _acme, calls = year
    invoices = {invoice.period_start.month: invoice for invoice in Invoice.objects.all()}
    assert sorted(invoices) == list(range(1, 11)), "November and December are free: nothing is billed"
    for month, net in nets(calls).items():
        invoice = invoices[month]
        assert (month, invoice.net) == (month, net)
        assert invoice.tax == half_even(Fraction(net * 19, 100))
        assert invoice.gross == invoice.net + invoice.tax


def test_the_books_of_the_year(year: tuple[Organization, list[Call]]) -> None:
    acme, _ = year
    assert ClosedPeriod.objects.filter(revision=0).count() == 12
    assert [(c.starts_on.month, c.revision) for c in ClosedPeriod.objects.filter(revision__gt=0)] == [(3, 1)]
    numbers = Invoice.objects.filter(kind=InvoiceKind.INVOICE).order_by("number").values_list("number", flat=True)
    assert list(numbers) == [f"INV-{YEAR}-{number:04}" for number in range(1, 11)]
    june = Invoice.objects.get(period_start__month=6)
    note = take_back(june, reason="Agreed", by=BY, at=at(12, 30))
    assert (note.number, note.gross) == (f"CN-{YEAR}-0001", june.gross)
    assert ledger.balance_nanos() == 10 * 10**9 + 4_999_999, "June's gift is back, and half a cent was never used"
    for month in (1, 2, 3, 4, 5, 6):
        proof = prove_month(acme.pk, dt.date(YEAR, month, 1))
        assert proof is not None
        invoices = next(check for check in proof.checks if check.name == "invoices")
        assert (invoices.difference_count, invoices.compared > 0) == (0, True)
