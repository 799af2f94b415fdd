"""Every page there is, with an address of each: found as a person finds it, by following links.

What must be found is every GET row of tests/access_matrix.py that is not the API's, so a new page is on this list as
soon as it has an address: it is linked from some page, or it stands in `NOT_LINKED`. The browser tests, the count of
queries, benchmarks/pages.py and scripts/screenshots all read this list.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from html.parser import HTMLParser
from urllib.parse import urlsplit

from django.urls import Resolver404, resolve

from tests.access_matrix import ROWS, Endpoint

# The HTML at an address: a link where it sends on, nothing where it is anything else.
Fetch = Callable[[str], str]

# Answers that do not end.
STREAM = "-stream"
# For programs, though they ask without a key; what only the browser itself asks for; and where Stripe sends back to.
MACHINES = frozenset(
    {
        "metering-api:healthz", "metering-api:readyz", "metering-api:openapi", "reports:worker",
        "alerts:subscription-state", "stripe:card-return", "stripe:credits-return",
    }
)  # fmt: skip
# Nobody is led to these by a page of the demo: an invitation's address comes by mail; an import of long ago has no
# progress to ask for; a list that is not long has no more rows; what was saved and not changed is not replaced;
# without a network the worker shows a page of its own; who is logged in is asked by what sends notes.
# The address of an invoice's proof stands on its paper, that of unsubscribing in e-mails. Written from the address
# of a page beside them.
NOT_LINKED: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "accounts:invitation": ("accounts:home", lambda home: f"{home}invitations/no-such-invitation/"),
    "alerts:unsubscribe": ("accounts:home", lambda home: f"{home}unsubscribe/nobody/"),
    "metering:import-progress": ("metering:import", lambda record: f"{record}progress/"),
    "reports:usage-rows": ("reports:usage", lambda usage: f"{usage}/rows"),
    "metering:notes-state": ("metering:notes", lambda notes: f"{notes}state"),
    "reports:report-replace": ("reports:report", lambda report: f"{report}replace?query=range%3D7d"),
    "reports:view-replace": ("reports:view", lambda view: f"{view}replace?page=usage&query=range%3D7d"),
    "billing:invoice-find": ("billing:invoice", lambda invoice: f"/prove/{invoice.rstrip('/').rpartition('/')[2]}"),
    "alerts:rule-preview": (
        "alerts:rule-create",
        lambda new: f"{new.partition('new/')[0]}preview?condition=daily_limit&of=organization:0&threshold=9&window=day",
    ),
    "alerts:rule-unusual": ("alerts:rules", lambda rules: f"{rules}unusual"),
    "reports:offline": ("accounts:home", lambda home: f"{home}offline"),
}
# Led to by some rows of a list alone: the first one has no price of its own to end; no other plan is to come; the first
# plan, which everybody begins on, stays on sale; the first organization is in no trial, its calls are let in, and no
# credits are being bought; the file of a month's report is made behind the start of the demo.
OF_SOME = frozenset(
    {
        "metering:price-end", "billing:plan-resume", "operator:plan-retire", "operator:plan-keep",
        "operator:trial-extend", "operator:calls-let-in", "billing:credits-purchase", "billing:credits-paid",
        "billing:credits-withdraw", "reports:monthly-file",
    }
)  # fmt: skip
# Where an installed application opens.
APPLICATION_START = "/start"
# A person's own account, made by allauth: what the menus lead to.
OWN_ACCOUNT = frozenset(
    {"account_email", "account_change_password", "mfa_index", "usersessions_list", "socialaccount_connections"}
)
# Before anybody has logged in.
ENTRANCE = ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/")

_PAGES = {row.name for row in ROWS if row.method == "GET" and not isinstance(row, Endpoint)}
NAMES = sorted({name for name in _PAGES - MACHINES - OF_SOME if not name.endswith(STREAM)} | OWN_ACCOUNT)


class _Addresses(HTMLParser):
    """What a page points at: links, forms that ask, and what its scripts load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form" and (given.get("method") or "get").lower() != "get":
            return
        self.found += [value for name, value in attrs if value and value.startswith("/") and name != "hx-post"]


def addresses_in(html: str) -> list[str]:
    parser = _Addresses()
    parser.feed(html)
    return parser.found


def name_of(address: str) -> str | None:
    """The name of the URL pattern an address belongs to; None when there is none."""
    try:
        return resolve(urlsplit(address).path).view_name
    except Resolver404:
        return None


def follow(fetch: Fetch, starts: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """The first address of each of `names` that the pages from `starts` on lead to."""
    wanted, found, waiting = set(names), dict[str, str](), deque(starts)
    for start in waiting:
        if name := name_of(start):
            found[name] = start
    while waiting:
        for address in addresses_in(fetch(waiting.popleft())):
            name = name_of(address)
            if name in wanted and name not in found:
                found[name] = address.partition("#")[0]
                waiting.append(found[name])
    return {name: address for name, address in found.items() if name in wanted}


def addresses(fetch: Fetch, start: str) -> dict[str, str]:
    """An address of every page that who fetches can reach from `start`."""
    found = follow(fetch, [start, APPLICATION_START], NAMES)
    beside = {name: write(urlsplit(found[page]).path) for name, (page, write) in NOT_LINKED.items() if page in found}
    return beside | found
