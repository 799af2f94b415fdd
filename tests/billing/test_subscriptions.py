"""Starting, trying, moving up and down, canceling and resuming: what holds, what it costs, what metering is told."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test import Client

from accounts.models import AuditEntry, Organization
from accounts.organizations import create_organization, update_organization
from billing import features
from billing.contracts import Contract
from billing.models import Subscription, SubscriptionChange
from billing.subscriptions import cancel, change_plan, resume
from billing.tasks import push_limits_of_all
from core.errors import ApiError
from core.tenancy import organization_scope
from tests.billing.plans import BY, MID_NOVEMBER, allowances, on, rates, subscribed
from tests.cast import make_user

pytestmark = pytest.mark.django_db
NOVEMBER, DECEMBER, JANUARY = dt.date(2026, 11, 1), dt.date(2026, 12, 1), dt.date(2027, 1, 1)


def nanos(contract: Contract, day: dt.date) -> list[int]:
    return [fee.nanos for fee in contract.fees(contract.period(day))]


def test_free_stops_hard_and_charges_nothing(acme: Organization) -> None:
    contract = subscribed(acme, "free")
    assert allowances(acme) == [
        ("2026-11-01", "2026-12-01", 100_000, True),
        ("2026-12-01", "2027-01-01", 100_000, True),
        ("2027-01-01", "2027-02-01", 100_000, True),
    ]
    assert rates(acme) == (60, 60_000)
    assert nanos(contract, NOVEMBER) == []
    assert contract.charged_from(contract.period(NOVEMBER)) is None


def test_a_plan_with_overage_tells_and_does_not_refuse(acme: Organization) -> None:
    contract = subscribed(acme, "developer")
    assert allowances(acme)[0] == ("2026-11-01", "2026-12-01", 5_000_000, False)
    assert nanos(contract, NOVEMBER) == [19_333_333_333], "20 of 30 days"
    assert nanos(contract, DECEMBER) == [29_000_000_000]
    assert contract.charged_from(contract.period(NOVEMBER)) == dt.date(2026, 11, 11)


def test_unlimited(acme: Organization) -> None:
    contract = subscribed(acme, "enterprise")
    assert allowances(acme)[0] == ("2026-11-01", "2026-12-01", None, False)
    assert contract.allowance(contract.period(NOVEMBER)) is None


def test_prepaid_has_no_allowance(acme: Organization) -> None:
    contract = subscribed(acme, "prepaid")
    assert allowances(acme) == []
    assert contract.allowance(contract.period(NOVEMBER)) is None
    assert rates(acme) == (600, 600_000)


def test_one_subscription_at_a_time(acme: Organization) -> None:
    subscribed(acme, "free")
    with pytest.raises(ApiError) as refused:
        subscribed(acme, "developer")
    assert refused.value.status == 409
    with organization_scope(acme.id):
        assert SubscriptionChange.objects.count() == 1


def test_an_upgrade_is_now_and_prorated(acme: Organization) -> None:
    subscribed(acme, "developer", on("2026-10-05"))
    contract = change_plan(acme, "startup", by=BY, at=on("2026-11-21"))
    assert nanos(contract, NOVEMBER) == [19_333_333_333, 49_666_666_667]
    assert contract.allowance(contract.period(NOVEMBER)) == 11_666_667
    assert allowances(acme)[:2] == [
        ("2026-11-01", "2026-12-01", 11_666_667, False),
        ("2026-12-01", "2027-01-01", 25_000_000, False),
    ]
    assert rates(acme)[0] == 3_000
    assert nanos(contract, DECEMBER) == [149_000_000_000]


def test_from_free_to_paid_charges_from_that_day(acme: Organization) -> None:
    subscribed(acme, "free", on("2026-10-05"))
    contract = change_plan(acme, "developer", by=BY, at=on("2026-11-21"))
    assert contract.charged_from(contract.period(NOVEMBER)) == dt.date(2026, 11, 21)
    assert allowances(acme)[0] == ("2026-11-01", "2026-12-01", 1_733_334, False)


def test_a_downgrade_waits_for_the_period(acme: Organization) -> None:
    subscribed(acme, "startup", on("2026-10-05"))
    contract = change_plan(acme, "developer", by=BY, at=MID_NOVEMBER)
    assert contract.next_change(dt.date(2026, 11, 11)) is not None
    assert allowances(acme)[:2] == [
        ("2026-11-01", "2026-12-01", 25_000_000, False),
        ("2026-12-01", "2027-01-01", 5_000_000, False),
    ]
    assert nanos(contract, NOVEMBER) == [149_000_000_000]
    assert nanos(contract, DECEMBER) == [29_000_000_000]
    assert rates(acme)[0] == 3_000


def test_canceling_ends_in_free_with_the_period(acme: Organization) -> None:
    subscribed(acme, "startup", on("2026-10-05"), anchor_day=20)
    contract = cancel(acme, by=BY, at=MID_NOVEMBER)
    assert allowances(acme)[:2] == [
        ("2026-10-20", "2026-11-20", 25_000_000, False),
        ("2026-11-20", "2026-12-20", 100_000, True),
    ]
    assert nanos(contract, dt.date(2026, 11, 20)) == []
    with pytest.raises(ApiError, match="no paid plan"):
        cancel(acme, by=BY, at=MID_NOVEMBER)


def test_free_cannot_be_canceled(acme: Organization) -> None:
    subscribed(acme, "free")
    with pytest.raises(ApiError) as refused:
        cancel(acme, by=BY, at=MID_NOVEMBER)
    assert refused.value.status == 409


def test_resuming_takes_back_what_was_to_come(acme: Organization) -> None:
    subscribed(acme, "startup", on("2026-10-05"))
    cancel(acme, by=BY, at=MID_NOVEMBER)
    with pytest.raises(ApiError, match="Resume it"):
        change_plan(acme, "startup", by=BY, at=MID_NOVEMBER)
    contract = resume(acme, by=BY, at=on("2026-11-20"))
    assert nanos(contract, NOVEMBER) == nanos(contract, DECEMBER) == [149_000_000_000]
    assert allowances(acme)[1] == ("2026-12-01", "2027-01-01", 25_000_000, False)
    with pytest.raises(ApiError, match="No change"):
        resume(acme, by=BY, at=on("2026-11-21"))


def test_an_upgrade_overrules_a_downgrade_to_come(acme: Organization) -> None:
    subscribed(acme, "developer", on("2026-10-05"))
    cancel(acme, by=BY, at=MID_NOVEMBER)
    contract = change_plan(acme, "startup", by=BY, at=on("2026-11-21"))
    assert nanos(contract, DECEMBER) == [149_000_000_000]


def test_a_trial_is_free_hard_and_then_goes_on(acme: Organization) -> None:
    contract = subscribed(acme, "developer", with_trial=True)
    assert contract.trial_ends_on(dt.date(2026, 11, 11)) == dt.date(2026, 11, 25)
    assert allowances(acme)[0] == ("2026-11-01", "2026-12-01", 5_000_000, True)
    assert nanos(contract, NOVEMBER) == [5_800_000_000], "6 of 30 days"
    assert contract.charged_from(contract.period(NOVEMBER)) == dt.date(2026, 11, 25)


def test_a_trial_that_is_canceled_costs_nothing(acme: Organization) -> None:
    subscribed(acme, "developer", with_trial=True)
    contract = cancel(acme, by=BY, at=on("2026-11-13"))
    assert nanos(contract, NOVEMBER) == nanos(contract, DECEMBER) == []
    assert contract.trial_ends_on(dt.date(2026, 11, 13)) == dt.date(2026, 11, 25)
    resumed = resume(acme, by=BY, at=on("2026-11-14"))
    assert nanos(resumed, NOVEMBER) == [5_800_000_000]


def test_a_trial_moves_to_another_plan_and_keeps_its_end(acme: Organization) -> None:
    subscribed(acme, "developer", with_trial=True)
    contract = change_plan(acme, "startup", by=BY, at=on("2026-11-13"))
    assert contract.trial_ends_on(dt.date(2026, 11, 13)) == dt.date(2026, 11, 25)
    assert nanos(contract, DECEMBER) == [149_000_000_000]
    assert rates(acme)[0] == 3_000


def test_the_trial_waits_until_a_period_that_is_paid_with_credits_is_over(acme: Organization) -> None:
    subscribed(acme, "prepaid", on("2026-11-01"))
    contract = change_plan(acme, "developer", by=BY, with_trial=True, at=on("2026-11-21"))
    assert contract.trial_ends_on(dt.date(2026, 11, 30)) is None
    assert contract.trial_ends_on(DECEMBER) == dt.date(2026, 12, 15)
    assert contract.charged_from(contract.period(DECEMBER)) == dt.date(2026, 12, 15)


def test_no_trial_of_what_has_none(acme: Organization) -> None:
    with pytest.raises(ApiError, match="no trial"):
        subscribed(acme, "free", with_trial=True)
    with organization_scope(acme.id):
        assert not Subscription.objects.exists()


def test_prepaid_begins_at_once_and_ends_with_the_period(acme: Organization) -> None:
    subscribed(acme, "free", on("2026-10-05"))
    change_plan(acme, "prepaid", by=BY, at=MID_NOVEMBER)
    assert allowances(acme) == []
    contract = change_plan(acme, "startup", by=BY, at=on("2026-11-21"))
    assert allowances(acme)[0][:3] == ("2026-12-01", "2027-01-01", 25_000_000)
    assert nanos(contract, NOVEMBER) == []


def test_agreed_plans_are_not_for_the_taking(acme: Organization) -> None:
    subscribed(acme, "free")
    with pytest.raises(ApiError) as refused:
        change_plan(acme, "enterprise", by=BY, at=MID_NOVEMBER)
    assert refused.value.code == "plan_not_offered"
    contract = change_plan(acme, "enterprise", by=BY, is_agreed=True, at=MID_NOVEMBER)
    assert contract.allowance(contract.period(NOVEMBER)) is None


@pytest.mark.parametrize("code", ["nonsense", "", "Free"])
def test_plans_that_are_none(acme: Organization, code: str) -> None:
    subscribed(acme, "free")
    with pytest.raises(ApiError) as refused:
        change_plan(acme, code, by=BY, at=MID_NOVEMBER)
    assert refused.value.code == "unknown_plan"


def test_what_is_scheduled_is_not_decided_twice(acme: Organization) -> None:
    subscribed(acme, "startup", on("2026-11-01"))
    change_plan(acme, "developer", by=BY, at=on("2026-11-10"))
    with pytest.raises(ApiError) as refused:
        change_plan(acme, "developer", by=BY, at=on("2026-11-11"))
    assert (refused.value.status, refused.value.code) == (409, "change_scheduled")
    with organization_scope(acme.pk):
        assert SubscriptionChange.objects.count() == 2
    contract = change_plan(acme, "prepaid", by=BY, at=on("2026-11-12"))
    assert [one.plan for one in contract.decisions] == ["startup", "developer", "prepaid"]


def test_nothing_to_change_without_a_subscription(acme: Organization) -> None:
    for act in (cancel, resume):
        with pytest.raises(ApiError) as refused:
            act(acme, by=BY)
        assert refused.value.code == "not_subscribed"


def test_today_is_the_organizations(globex: Organization) -> None:
    """At 3:00 UTC of the 1st it is the last of the month in New York."""
    contract = subscribed(globex, "startup", dt.datetime(2026, 12, 1, 3, tzinfo=dt.UTC))
    assert nanos(contract, NOVEMBER) == [4_966_666_667], "one day of November"
    assert allowances(globex)[0][0] == "2026-11-01"


@pytest.mark.usefixtures("tasks_at_once")
def test_beat_pushes_what_its_day_has_come(acme: Organization) -> None:
    """A trial that ended last night stops refusing; rows of the periods to come are made."""
    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=20)
    subscribed(acme, "developer", long_ago, with_trial=True)
    assert {hard for *_, hard in allowances(acme)[:1]} == {True}
    push_limits_of_all()
    rows = allowances(acme)
    assert len(rows) == 3
    assert {hard for *_, hard in rows} == {False}
    push_limits_of_all()
    assert allowances(acme) == rows


def test_decisions_are_never_changed_or_removed(acme: Organization) -> None:
    subscribed(acme, "developer")
    with organization_scope(acme.id), connection.cursor() as cursor:
        for statement in (
            "UPDATE billing_subscriptionchange SET effective_on = '2020-01-01'",
            "DELETE FROM billing_subscriptionchange",
        ):
            cursor.execute(statement)
            assert cursor.rowcount == 0


def test_every_decision_is_in_the_audit_log(acme: Organization) -> None:
    subscribed(acme, "developer")
    change_plan(acme, "startup", by=BY, at=MID_NOVEMBER)
    with organization_scope(acme.id):
        assert list(AuditEntry.objects.order_by("id").values_list("action", "target_label")) == [
            ("subscription.start", "Developer"),
            ("subscription.upgrade", "Startup"),
        ]


def test_features(acme: Organization, globex: Organization) -> None:
    assert features.includes(acme, "team_usage"), "without a plan nothing is withheld"
    subscribed(acme, "startup", dt.datetime.now(dt.UTC))
    assert not features.includes(acme, "team_usage")
    subscribed(globex, "enterprise", dt.datetime.now(dt.UTC))
    assert features.includes(globex, "team_usage")
    with pytest.raises(ValueError, match="no feature"):
        features.includes(acme, "flying")


def test_a_moved_zone_moves_the_days(acme: Organization) -> None:
    subscribed(acme, "startup")
    with organization_scope(acme.id):
        update_organization(acme, {"timezone": "Asia/Kathmandu"}, by=BY)
    contract = Contract.load(acme)
    assert contract is not None
    start, _ = contract.period(NOVEMBER).instants(contract.zone)
    assert start.isoformat() == "2026-10-31T18:15:00+00:00"


# ── Founding ──


def test_a_new_organization_has_the_free_plan_from_the_first_moment() -> None:
    organization = create_organization("Newcomer", make_user("nora"), by=BY)
    assert [row[2:] for row in allowances(organization)] == [(100_000, True)] * 3


def test_a_new_organization_may_ask_for_a_plan() -> None:
    organization = create_organization("Newcomer", make_user("nora"), by=BY, plan="startup")
    assert allowances(organization)[0][2:] == (25_000_000, False)


def test_a_plan_that_is_none_founds_nothing() -> None:
    with pytest.raises(ApiError, match="no plan 'gold'"):
        create_organization("Newcomer", make_user("nora"), by=BY, plan="gold")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL tokenledger.organizations = '*'")
        cursor.execute("SELECT count(*) FROM accounts_organization")
        assert cursor.fetchone() == (0,)


# ── The API ──


def test_plans_in_the_api(acme: Organization, acme_api: Client) -> None:
    codes = [one["code"] for one in acme_api.get("/v1/plans").json()["data"]]
    assert codes == ["free", "prepaid", "developer", "startup"]
    subscribed(acme, "enterprise", dt.datetime.now(dt.UTC))
    plans = acme_api.get("/v1/plans").json()["data"]
    assert [one["code"] for one in plans if one["is_current"]] == ["enterprise"]
    assert plans[2] == {
        "code": "developer",
        "name": "Developer",
        "base_fee_usd": "29",
        "allowance_tokens": 5_000_000,
        "overage": "charge",
        "requests_per_minute": 600,
        "tokens_per_minute": 600_000,
        "features": [],
        "trial_days": 14,
        "is_offered": True,
        "is_current": False,
    }


def test_the_subscription_in_the_api(acme: Organization, acme_api: Client) -> None:
    assert acme_api.get("/v1/subscription").status_code == 404
    subscribed(acme, "startup", dt.datetime.now(dt.UTC), with_trial=True)
    cancel(acme, by=BY)
    told = acme_api.get("/v1/subscription").json()
    assert told["plan"]["code"] == "startup"
    assert told["status"] == "trialing"
    assert told["scheduled"] == {"plan": "free", "effective_on": told["trial_ends_on"]}
    assert [(one["kind"], one["plan"]) for one in told["history"]] == [
        ("trial", "startup"),
        ("start", "startup"),
        ("cancel", "free"),
    ]


def test_usage_tells_the_allowance(acme: Organization, acme_api: Client) -> None:
    subscribed(acme, "developer", dt.datetime.now(dt.UTC))
    assert acme_api.get("/v1/usage").json()["allowance"] == {
        "limit": 5_000_000, "used": 0, "remaining": 5_000_000, "percent": 0.0, "overage_tokens": 0,
    }  # fmt: skip
