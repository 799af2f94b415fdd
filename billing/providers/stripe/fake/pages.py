"""The pages a customer sees: a card form, a bank's question, the portal. Plain HTML, nothing from elsewhere."""

from __future__ import annotations

from html import escape

from billing.providers.stripe.fake.state import Document

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f3f4f6;color:#1f2328}
main{max-width:26rem;margin:3rem auto;background:#fff;padding:2rem;border-radius:8px;border:1px solid #d8dce0}
h1{font-size:1.25rem;margin:0 0 .25rem}p{margin:.5rem 0}.mark{color:#6b4e00;background:#fff3cd;padding:.25rem .5rem;border-radius:4px;font-size:.8rem}
label{display:block;margin:.75rem 0 .25rem;font-size:.875rem}input{width:100%;box-sizing:border-box;padding:.6rem;border:1px solid #8a9199;border-radius:4px;font:inherit}
button{padding:.65rem 1rem;border:0;border-radius:4px;background:#0b57d0;color:#fff;font:inherit;cursor:pointer}
form.inline{display:inline}form.inline button{background:none;color:#0b57d0;padding:0 .25rem}.wide{width:100%;margin-top:1rem}
.error{color:#a1131a;background:#fdecec;padding:.5rem .75rem;border-radius:4px}table{width:100%;border-collapse:collapse}
td{padding:.35rem 0;border-bottom:1px solid #e5e7eb}td:last-child{text-align:right}a{color:#0b57d0}
@media(max-width:30rem){main{margin:0;border:0;border-radius:0}}
"""  # noqa: E501
_HINT = "Test cards: 4242 4242 4242 4242 pays, 4000 0000 0000 0002 is declined, 4000 0000 0000 0341 fails later."


def amount(minor: int, currency: str) -> str:
    return f"{minor / 100:,.2f} {currency.upper()}"


def frame(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f'<body><main><span class="mark">Test mode: no money moves</span><h1>{escape(title)}</h1>{body}</main>'
        "</body></html>"
    )


def card_form(title: str, rows: list[tuple[str, str]], button: str, error: str = "", back: str | None = None) -> str:
    table = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    return frame(
        title,
        (f"<table>{table}</table>" if rows else "")
        + (f'<p class="error" role="alert">{escape(error)}</p>' if error else "")
        + _card_fields(button)
        + (f'<p><a href="{escape(back)}">Back</a></p>' if back else ""),
    )


def _card_fields(button: str, do: str = "") -> str:
    fields = (
        ("number", "Card number", "cc-number", "4242 4242 4242 4242"),
        ("expires", "Expires (MM/YY)", "cc-exp", "12/34"),
        ("cvc", "Security code", "cc-csc", "123"),
        ("name", "Name on card", "cc-name", ""),
    )
    inputs = "".join(
        f'<label for="{name}">{label}</label>'
        f'<input id="{name}" name="{name}" autocomplete="{kind}" placeholder="{hint}"'
        f"{'' if name == 'name' else ' required'}>"
        for name, label, kind, hint in fields
    )
    hidden = f'<input type="hidden" name="do" value="{do}">' if do else ""
    return f'<form method="post">{hidden}{inputs}<p>{_HINT}</p><button class="wide">{escape(button)}</button></form>'


def question(title: str) -> str:
    """What a bank asks before it lets a payment through."""
    return frame(
        title,
        '<p>Your bank asks whether this payment is yours.</p><form method="post">'
        '<button name="answer" value="yes">Complete</button> <button name="answer" value="no">Fail</button></form>',
    )


def portal(
    customer: Document,
    methods: list[Document],
    plans: list[Document],
    invoices: list[Document],
    back: str | None,
    error: str,
    *,
    may_cancel: bool,
) -> str:
    default = customer["invoice_settings"]["default_payment_method"]
    cards = "".join(_card_row(method, is_default=method["id"] == default) for method in methods)
    papers = "".join(map(_invoice_row, invoices))
    shown = "".join(_plan_row(one, may_cancel=may_cancel) for one in plans)
    return frame(
        f"Billing of {customer['name'] or customer['email'] or customer['id']}",
        (f'<p class="error" role="alert">{escape(error)}</p>' if error else "")
        + (f"<h2>Plan</h2><table>{shown}</table>" if plans else "")
        + f"<h2>Cards</h2><table>{cards or '<tr><td>None yet</td></tr>'}</table>"
        + _card_fields("Add card", "add")
        + f"<h2>Invoices</h2><table>{papers or '<tr><td>None yet</td></tr>'}</table>"
        + (f'<p><a href="{escape(back)}">Back</a></p>' if back else ""),
    )


def _plan_row(subscription: Document, *, may_cancel: bool) -> str:
    price = subscription["items"]["data"][0]["price"]
    ends = subscription["cancel_at_period_end"]
    words = (
        f"{price['nickname'] or price['product']} · {subscription['status']}{', ends with its period' if ends else ''}"
    )
    do, label = ("renew", "Keep plan") if ends else ("cancel", "Cancel plan")
    act = _act(do, subscription["id"], label, of="subscription") if may_cancel else ""
    return f"<tr><td>{escape(words)}</td><td>{act}</td></tr>"


def _invoice_row(invoice: Document) -> str:
    words = f"{amount(invoice['total'], invoice['currency'])} · {invoice['status']}"
    return f"<tr><td>{escape(invoice['number'] or 'Draft')}</td><td>{escape(words)}</td></tr>"


def _card_row(method: Document, *, is_default: bool) -> str:
    card = method["card"]
    acts = "" if is_default else _act("default", method["id"], "Make default")
    words = f"{card['brand']} •••• {card['last4']}, {card['exp_month']:02}/{card['exp_year']}"
    mark = " · default" if is_default else ""
    return f"<tr><td>{escape(words)}{mark}</td><td>{acts}{_act('remove', method['id'], 'Remove')}</td></tr>"


def _act(do: str, id: str, label: str, *, of: str = "method") -> str:  # noqa: A002
    return (
        f'<form class="inline" method="post"><input type="hidden" name="do" value="{do}">'
        f'<input type="hidden" name="{of}" value="{escape(id)}"><button>{label}</button></form>'
    )
