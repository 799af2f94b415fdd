"""Credits, invoices, and payments that were refused, disputed or made."""

from __future__ import annotations

from accounts.models import Organization
from alerts.letters.letter import Letter, day, enough, moment, money_of, usd
from alerts.payloads import (
    CallsSuspended,
    CreditsLow,
    InvoiceFinalized,
    InvoicePaid,
    PaymentDisputed,
    PaymentFailed,
    PaymentRecovered,
)

_RECORDED = "Reported usage goes on being recorded, and everything can be read."


def credits_low(data: CreditsLow, organization: Organization) -> Letter:
    rule = data.auto_top_up
    return Letter(
        subject=f"Credits of {organization.name} are low: {usd(data.available_usd)} left",
        lead=f"Credits of {organization.name} have fallen below {usd(data.threshold_usd)}.",
        path=data.page,
        table=(("Left", usd(data.available_usd)), ("Low below", usd(data.threshold_usd))),
        text=(
            f"Credits for {usd(rule.amount_usd)} are bought by themselves below {usd(rule.below_usd)}."
            if rule
            else "None are bought by themselves. Calls that are paid by credits are refused when there are none left.",
        ),
        action="See the credits",
        tone="warning" if rule else "caution",
    )


def invoice_finalized(data: InvoiceFinalized, organization: Organization) -> Letter:
    is_note = data.kind == "credit_note"
    gross = money_of(data.gross, data.currency)
    words = f"Credit note {data.number}" if is_note else f"Invoice {data.number}"
    if is_note:
        lead = f"{words} over {gross} takes back what {data.corrects or 'an invoice'} of {organization.name} stated."
    else:
        due = f", due on {day(data.due_on)}" if data.due_on else ""
        lead = f"{words} of {organization.name} over {gross} is issued{due}."
    return Letter(
        subject=f"{words} of {organization.name}: {gross}",
        lead=lead,
        path=data.page,
        table=enough(
            ("Period", f"{day(data.period_start)} to {day(data.period_end)}"),
            ("Net", money_of(data.net, data.currency)),
            ("Tax", money_of(data.tax, data.currency)),
            ("Total", gross),
            ("Due", day(data.due_on) if data.due_on else None),
        ),
        action="See the credit note" if is_note else "See the invoice",
    )


def invoice_paid(data: InvoicePaid, organization: Organization) -> Letter:
    gross = money_of(data.gross, data.currency)
    return Letter(
        subject=f"Invoice {data.number} of {organization.name} is paid",
        lead=f"{gross} came in full on {day(data.paid_on)}. Thank you.",
        path=data.page,
        table=enough(("Total", gross), ("Paid on", day(data.paid_on)), ("Paid by", data.method)),
        action="See the invoice",
        tone="ok",
    )


def payment_failed(data: PaymentFailed, organization: Organization) -> Letter:
    amount = money_of(data.amount, data.currency)
    if data.number is None or data.suspends_at is None:
        return _credits_not_bought(data, organization, amount)
    zone = organization.zone
    retry = moment(data.next_retry_at, zone) if data.next_retry_at else None
    reason = f": {data.reason}" if data.reason else "."
    return Letter(
        subject=f"{data.number} of {organization.name} could not be paid",
        lead=f"The payment of {amount} for invoice {data.number} of {organization.name} was refused{reason}",
        path=data.page,
        table=enough(
            ("Amount", amount),
            ("Attempt", str(data.attempt)),
            ("Tried again", retry or "Not by itself"),
            ("Calls are suspended", moment(data.suspends_at, zone)),
        ),
        text=(f"From then on the gateway refuses calls while it is not paid. {_RECORDED}",),
        action="Pay now",
        elsewhere=data.pay_url,
        tone="caution",
        is_urgent=True,
    )


def _credits_not_bought(data: PaymentFailed, organization: Organization, amount: str) -> Letter:
    return Letter(
        subject=f"Credits of {organization.name} could not be bought",
        lead=f"{amount} was to be paid for credits of {organization.name}, and the payment was refused: {data.reason}",
        path=data.page,
        text=("No more are bought by themselves until credits were added: enter another card, or buy some.",),
        action="See the credits",
        tone="caution",
        is_urgent=True,
    )


def payment_recovered(data: PaymentRecovered, organization: Organization) -> Letter:
    calls = ("Calls that were suspended for it go through again.",) if data.was_suspended else ()
    return Letter(
        subject=f"{data.number} of {organization.name} is settled",
        lead=f"Nothing is due of invoice {data.number} of {organization.name} any more. Thank you.",
        path=data.page,
        table=(("Total", money_of(data.gross, data.currency)),),
        text=calls,
        action="See the invoice",
        tone="ok",
    )


def payment_disputed(data: PaymentDisputed, organization: Organization) -> Letter:
    amount = money_of(data.amount, data.currency)
    of = f"invoice {data.number}" if data.number else "credits"
    until = moment(data.answer_until, organization.zone) if data.answer_until else None
    return Letter(
        subject=f"A payment of {organization.name} is disputed: {amount}",
        lead=f"The bank of whoever paid {amount} for {of} of {organization.name} by card disputes the payment.",
        path=data.page,
        table=enough(
            ("Amount", amount),
            ("Invoice", data.number),
            ("Reason", data.reason.replace("_", " ")),
            ("State", data.status.replace("_", " ")),
            ("To be answered until", until),
        ),
        text=(
            "If that is a mistake, ask the bank to withdraw it.",
            "If the dispute is lost, the money goes back and what it paid is due again. Calls go on meanwhile.",
        ),
        action="See what it is about",
        tone="caution",
        is_urgent=True,
    )


def calls_suspended(data: CallsSuspended, organization: Organization) -> Letter:
    amount = money_of(data.amount, data.currency)
    return Letter(
        subject=f"Calls of {organization.name} are suspended",
        lead=f"Invoice {data.number} of {organization.name} over {amount} is not paid, and the time to do so is over."
        " The gateway refuses calls until it is.",
        path=data.page,
        table=enough(
            ("Due", amount), ("Invoice", data.number), ("Attempts", str(data.attempts)), ("Last refused", data.reason)
        ),
        text=(f"Calls go on as soon as it is paid. {_RECORDED}",),
        action="Pay now",
        elsewhere=data.pay_url,
        tone="critical",
        is_urgent=True,
    )
