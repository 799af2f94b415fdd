"""The forecast page, its file and /v1/forecast: the same figures in each, and the accuracy had again from the file."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization, Project, Scope, Team, TeamMembership, User
from billing.budgets.reach import Reach
from billing.budgets.records import create_budget
from billing.credits.wallets import grant
from billing.subscriptions import start_subscription
from core.money import nanos_from_usd, usd_text
from core.periods import local_day, month_start, next_month
from core.tenancy import organization_scope
from tests.billing.plans import BY
from tests.cast import Key, membership_of
from tests.reports.forecasting.daily import TOKEN, use

pytestmark = pytest.mark.django_db
PAGE, FILE, API = "/o/acme/forecast/", "/o/acme/forecast/trials.csv", "/v1/forecast"
DAYS = 45
SHARES = {"low": Fraction(1, 10), "likely": Fraction(1, 2), "high": Fraction(9, 10)}


@pytest.fixture
def usage(acme: Organization, website: Project) -> None:
    use(acme, DAYS, today=50, project="website")


def context(client: Client, query: str = "") -> Any:
    answer = client.get(f"{PAGE}?{query}")
    assert answer.status_code == 200, answer.content[:500]
    return answer.context


# ── The stated accuracy, from the file alone ──


def rows_of(client: Client, query: str) -> dict[str, list[dict[str, str]]]:
    answer = client.get(f"{FILE}?{query}")
    assert answer.status_code == 200
    found: dict[str, list[dict[str, str]]] = {}
    for row in csv.DictReader(io.StringIO(answer.content.decode())):
        found.setdefault(row["kind"], []).append(row)
    return found


def pinball(row: dict[str, Any], prefix: str, read: Callable[[str], Fraction]) -> Fraction:
    loss = Fraction(0)
    for name, share in SHARES.items():
        off = read(row["actual"]) - read(row[f"{prefix}{name}"])
        loss += 2 * max(share * off, (share - 1) * off)
    return loss / len(SHARES)


def wql(trials: list[dict[str, Any]], prefix: str, read: Callable[[str], Fraction]) -> float:
    return float(sum(pinball(row, prefix, read) for row in trials) / sum(read(row["actual"]) for row in trials))


def hits(trials: list[dict[str, Any]], read: Callable[[str], Fraction], prefix: str = "") -> dict[str, int]:
    within = [read(row[f"{prefix}low"]) <= read(row["actual"]) <= read(row[f"{prefix}high"]) for row in trials]
    return {"hits": sum(within), "trials": len(within)}


def counted_again(rows: dict[str, list[dict[str, str]]], read: Callable[[str], Fraction]) -> dict[str, Any]:
    """Everything that is said of a forecast's accuracy, by its definitions in docs/algorithms/forecasting.md."""
    trials, totals = rows["trial"], rows["total_trial"]
    values = [read(row["actual"]) for row in rows["history"]]
    scale = statistics.fmean(abs(after - before) for before, after in zip(values, values[7:], strict=False))
    last = [row for row in totals if row["ahead"] == "30"]

    def mase(prefix: str) -> float:
        return statistics.fmean(abs(read(row["actual"]) - read(row[f"{prefix}likely"])) for row in trials) / scale

    def error(prefix: str) -> float:
        return statistics.median(
            abs(read(row["actual"]) - read(row[f"{prefix}likely"])) / read(row["actual"]) for row in last
        )

    errors = {
        "mase": (mase(""), mase("naive_")),
        "wql": (wql(trials, "", read), wql(trials, "naive_", read)),
        "total_wql": (wql(totals, "", read), wql(totals, "naive_", read)),
    }
    if last:
        errors["total_error"] = (float(error("")), float(error("naive_")))
    return {
        "origins": len({row["origin"] for row in trials}),
        "days": hits(trials, read),
        "totals": hits(totals, read),
        "scale": scale,
        "errors": errors,
        "horizons": [distance(rows, ahead, read) for ahead in sorted({int(row["ahead"]) for row in trials})],
    }


def distance(
    rows: dict[str, list[dict[str, str]]], ahead: int, read: Callable[[str], Fraction]
) -> dict[str, int | float]:
    """How good it was so many days ahead, of days and of totals, and the baseline beside it."""
    days, totals = ([row for row in rows[kind] if row["ahead"] == str(ahead)] for kind in ("trial", "total_trial"))

    def error(prefix: str) -> float:
        return float(
            statistics.median(
                abs(read(row["actual"]) - read(row[f"{prefix}likely"])) / read(row["actual"]) for row in totals
            )
        )

    return {
        "days_ahead": ahead + 1,
        "trials": len(days),
        "day_hits": hits(days, read)["hits"],
        "naive_day_hits": hits(days, read, "naive_")["hits"],
        "total_hits": hits(totals, read)["hits"],
        "naive_total_hits": hits(totals, read, "naive_")["hits"],
        "total_error": error(""),
        "naive_total_error": error("naive_"),
    }


@pytest.mark.parametrize("measure", ["cost", "tokens"])
def test_the_accuracy_can_be_had_again_from_the_file(
    alice_client: Client, acme_api: Client, usage: None, measure: str
) -> None:
    def read(text: str) -> Fraction:
        return Fraction(text) * (10**9 if measure == "cost" else 1)

    rows = rows_of(alice_client, f"measure={measure}")
    again = counted_again(rows, read)
    api = acme_api.get(API, {"measure": measure}).json()
    told = api["measured"]
    assert (told["origins"], told["days"], told["totals"]) == (again["origins"], again["days"], again["totals"])
    assert told["scale"] == pytest.approx(again["scale"], rel=1e-12)
    assert [one["name"] for one in told["errors"]] == list(again["errors"])
    for one in told["errors"]:
        assert (one["forecast"], one["naive"]) == pytest.approx(again["errors"][one["name"]], rel=1e-9)
        assert (one["name"] in told["is_naive_better_in"]) == (one["naive"] < one["forecast"])
    for one, counted in zip(told["horizons"], again["horizons"], strict=True):
        assert one == pytest.approx(counted, rel=1e-9)
    page = context(alice_client, f"measure={measure}")
    shown = page["goodness"]
    # Each figure of a page says how good it was at its own distance, and so does the API's.
    for ending, period in zip(page["endings"], api["periods"], strict=True):
        counted = again["horizons"][period["days_ahead"] - 1]
        assert period["measured"] == pytest.approx(counted, rel=1e-9)
        assert f"held {counted['total_hits']} of {counted['trials']} totals" in ending["held"]
        assert f"repeating the last week, {counted['naive_total_hits']}." in ending["held"]
    for row in shown["distances"]:
        counted = again["horizons"][row["days"] - 1]
        assert [(one["hits"], one["naive"]) for one in row["held"]] == [
            (counted["day_hits"], counted["naive_day_hits"]), (counted["total_hits"], counted["naive_total_hits"]),
        ]  # fmt: skip
    assert shown["days"] == {**again["days"], "share": Fraction(again["days"]["hits"], again["days"]["trials"])}
    for contest, one in zip(shown["contests"], told["errors"], strict=True):
        assert (contest.own, contest.naive) == (one["forecast"], one["naive"])
    # What is forecast is in it as the API says it.
    for kind, name, day in (("day", "days", "date"), ("total", "totals", "until")):
        assert [(row["day"], row["low"], row["likely"], row["high"]) for row in rows[kind]] == [
            (one[day], str(one["low"]), str(one["likely"]), str(one["high"])) for one in api[name]
        ]


def test_where_the_last_week_was_better_it_is_said(alice_client: Client, usage: None) -> None:
    page = context(alice_client)
    winners = [one.winner for one in page["goodness"]["contests"]]
    html = " ".join(alice_client.get(PAGE).content.decode().split())
    assert html.count('</svg><span class="tl-lg">Last week</span>') == winners.count("naive")
    assert html.count('</svg><span class="tl-lg">Forecast</span>') == winners.count("own")
    assert page["goodness"]["sentence"] in html


# ── Figures ──


def test_periods_are_what_was_used_and_what_is_to_come(
    alice_client: Client, acme_api: Client, acme: Organization, usage: None
) -> None:
    start_subscription(acme, "startup", by=BY, anchor_day=15)
    api = acme_api.get(API).json()
    today = local_day(now(), acme.zone)
    periods = {one["period"]: one for one in api["periods"]}
    assert list(periods) == ["month", "billing_period", "next_30_days"]
    assert periods["month"]["starts_on"] == str(month_start(today))
    assert periods["month"]["ends_on"] == str(next_month(today))
    used = acme_api.get("/v1/usage", {"from": str(month_start(today)), "to": str(today)}).json()
    assert periods["month"]["so_far"] == used["total_cost_usd"]
    assert periods["next_30_days"]["so_far"] == usd_text(50 * TOKEN)
    for one in periods.values():
        so_far, low, likely, high = (nanos_from_usd_text(one[name]) for name in ("so_far", "low", "likely", "high"))
        assert so_far <= low <= likely <= high
    shown = {one["key"]: one for one in context(alice_client)["endings"]}
    assert usd_text(shown["month"]["so_far"]) == periods["month"]["so_far"]
    # Some of the day has passed in between.
    assert shown["month"]["band"].likely == pytest.approx(nanos_from_usd_text(periods["month"]["likely"]), rel=0.01)


def nanos_from_usd_text(text: str) -> int:
    return nanos_from_usd(Decimal(text))


def test_a_team_a_project_and_a_model_have_their_own(
    acme_api: Client, acme: Organization, search: Team, usage: None
) -> None:
    use(acme, DAYS, "other", model="gpt-4o-mini")
    whole = acme_api.get(API, {"measure": "tokens"}).json()
    of_team = acme_api.get(API, {"measure": "tokens", "team": "search"}).json()
    of_none = acme_api.get(API, {"measure": "tokens", "team": "none"}).json()
    of_model = acme_api.get(API, {"measure": "tokens", "model": "gpt-4o-mini"}).json()
    assert (of_team["scope"], of_team["of"], of_team["label"]) == ("team", "search", "Search")
    assert (of_none["of"], of_none["label"]) == ("none", "Usage without a team")
    assert of_none["days"] == of_model["days"]
    so_far = [one["periods"][0]["so_far"] for one in (whole, of_team, of_none)]
    assert so_far[0] == so_far[1] + so_far[2]
    assert whole["unit"] == "tokens"


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("measure=calls", "measure"),
        ("team=search&project=website", "project"),
        ("team=nobody", "team"),
        ("model=never-used", "model"),
    ],
)
def test_nonsense_is_refused(
    acme_api: Client, alice_client: Client, usage: None, search: Team, query: str, param: str
) -> None:
    answer = acme_api.get(f"{API}?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)
    page = alice_client.get(f"{PAGE}?{query}")
    assert page.status_code == 422
    assert "This forecast does not exist" in page.content.decode()


# ── Little history ──


def test_before_the_first_usage(alice_client: Client, acme_api: Client, acme: Organization) -> None:
    assert "Nothing to forecast yet" in alice_client.get(PAGE).content.decode()
    api = acme_api.get(API).json()
    assert (api["days"], api["totals"], api["measured"], api["method"]) == ([], [], None, None)


def test_too_little_history_is_said_openly(alice_client: Client, acme_api: Client, acme: Organization) -> None:
    use(acme, 5)
    budget = create_budget(acme, {"scope": "organization", "ref": 0, "amount": 10**12}, Reach.whole(), by=BY)
    html = alice_client.get(PAGE).content.decode()
    assert "Too little history for a forecast" in html
    assert "Not known" in html
    api = acme_api.get(API).json()
    assert api["days"] == []
    assert api["periods"][0]["likely"] is None
    (bound,) = api["exhaustion"]
    assert (bound["budget"], bound["state"], bound["likely"]) == (budget.pk, "too_little_history", None)
    assert rows_of(alice_client, "").keys() == {"history"}


# ── Who sees what ──


def test_a_member_sees_their_own_and_teams_they_administer(
    bob_client: Client, bob: User, acme: Organization, search: Team, usage: None
) -> None:
    use(acme, DAYS, "bob", user=bob.email)
    own = context(bob_client)
    assert own["page"]["subtitle"].startswith("Your own usage")
    assert own["page"]["menus"] == []
    assert bob_client.get(f"{PAGE}?team=search").status_code == 403
    assert bob_client.get(f"{FILE}?team=search").status_code == 403
    make_admin(bob, acme, search)
    assert context(bob_client, "team=search")["page"]["subtitle"].startswith("Search")
    assert [one["label"] for one in context(bob_client)["page"]["whose"]] == ["You", "Search"]
    assert bob_client.get(f"{PAGE}?model=gpt-4o").status_code == 403


def make_admin(user: User, acme: Organization, team: Team) -> None:
    with organization_scope(acme.pk):
        TeamMembership.objects.update_or_create(
            organization=acme, team=team, membership=membership_of(user, acme), defaults={"is_admin": True}
        )


def test_budgets_are_for_keys_that_may_read_them(acme: Organization, usage: None, new_key: Callable[..., Key]) -> None:
    create_budget(acme, {"scope": "organization", "ref": 0, "amount": 10**12}, Reach.whole(), by=BY)
    start_subscription(acme, "prepaid", by=BY, anchor_day=1)
    grant(acme, 10**12, "apology", by=BY)
    reader = new_key(Scope.USAGE_READ).client
    both = new_key(Scope.USAGE_READ, Scope.BILLING_READ).client
    assert reader.get(API).json()["exhaustion"] == []
    assert sorted(one["kind"] for one in both.get(API).json()["exhaustion"]) == ["budget", "credits"]
