"""Pages of rules and alerts, and whose they are."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Membership, Organization, Team, TeamMembership, User
from alerts import acting
from alerts.models import Alert, AlertAct, AlertRule, AlertState
from alerts.rules.reach import Reach
from core.tenancy import organization_scope
from tests.alerts.rules.usage import BY, alerts_of, evaluate_at, open_alert, rule, use
from tests.cast import membership_of

pytestmark = pytest.mark.django_db
RULES, ALERTS = "/o/acme/alerts/rules/", "/o/acme/alerts/"


def form(**fields: str) -> dict[str, str]:
    return {"condition": "daily_limit", "of": "organization:0", "threshold": "1000", "window": "day", **fields}


def test_presets_are_one_click_and_then_gone(alice_client: Client, acme: Organization) -> None:
    assert b"Often watched" in alice_client.get(RULES).content
    for name in ("daily_limit", "daily_limit", "low_usage"):
        assert alice_client.post(f"{RULES}presets/{name}").status_code == 302
    with organization_scope(acme.pk):
        assert list(AlertRule.objects.order_by("pk").values_list("condition", "threshold")) == [
            ("daily_limit", 1_000_000),
            ("low_usage", 10_000),
        ]


def test_a_rule_is_previewed_and_made(alice_client: Client, acme: Organization) -> None:
    use(acme, now() - dt.timedelta(days=2), 1_001)
    shown = alice_client.get(f"{RULES}preview", form()).content.decode()
    assert "It would have fired 1 time" in shown
    assert "Fill in the form" in alice_client.get(f"{RULES}preview", form(threshold="")).content.decode()
    # Another condition brings its own numbers.
    other = alice_client.get(f"{RULES}preview", form(condition="hourly_spike", was="daily_limit")).content.decode()
    assert 'value="200"' in other
    answer = alice_client.post(f"{RULES}new/", form(name="Much"))
    assert answer.status_code == 302
    page = alice_client.get(answer["location"]).content.decode()
    assert "Much" in page
    assert "&gt; 1,000 tokens a day" in page
    assert alice_client.post(f"{RULES}new/", form(threshold="1.5")).status_code == 422


def test_an_alert_s_page_explains_and_settles_it(alice_client: Client, acme: Organization) -> None:
    at = now()
    rule(acme, "daily_limit", at - dt.timedelta(minutes=5), threshold=10)
    use(acme, at - dt.timedelta(seconds=2), 11)
    (alert,) = evaluate_at(acme, at)
    page = alice_client.get(f"{ALERTS}{alert.pk}/").content.decode()
    assert all(words in page for words in ("11 tokens", "gpt-4o", "range=custom"))
    assert "Acknowledge" in alice_client.get(ALERTS).content.decode()
    for act, fields in (("acknowledge", {}), ("snooze", {"for": "morning"}), ("resolve", {})):
        assert alice_client.post(f"{ALERTS}{alert.pk}/{act}", fields).status_code == 302
    (alert,) = alerts_of(acme)
    assert alert.state == AlertState.RESOLVED
    with organization_scope(acme.pk):
        kinds = list(AlertAct.objects.filter(alert=alert).values_list("kind", flat=True))
    assert kinds == ["opened", "acknowledged", "snoozed", "resolved"]
    assert "Nothing is open" in alice_client.get(ALERTS).content.decode()
    assert alice_client.get(ALERTS, {"state": "resolved", "scope": "team"}).status_code == 200
    assert alice_client.get(ALERTS, {"state": "weather"}).status_code == 404


def test_a_snooze_ends_and_is_told_again_if_it_still_goes_on(acme: Organization) -> None:
    at = now()
    rule(acme, "daily_limit", at, threshold=10)
    use(acme, at, 11)
    (alert,) = evaluate_at(acme, at + dt.timedelta(seconds=1))
    until = at + dt.timedelta(minutes=10)
    with organization_scope(acme.pk):
        acting.snooze(alert, until, Reach.whole(), by=BY, at=at)
    (alert,) = evaluate_at(acme, at + dt.timedelta(minutes=9))
    assert (alert.state, alert.told) == (AlertState.SNOOZED, 1)
    (alert,) = evaluate_at(acme, until)
    if alert.period_ends_at > until:
        assert (alert.state, alert.told) == (AlertState.OPEN, 2)


def test_changing_what_a_rule_means_ends_what_it_had_open(alice_client: Client, acme: Organization) -> None:
    made = rule(acme, "daily_limit", now(), threshold=10)
    with organization_scope(acme.pk):
        open_alert(made)
    alice_client.post(f"{RULES}{made.pk}/change/", form(threshold="10", name="Another name"))
    assert alerts_of(acme)[0].state == AlertState.OPEN
    alice_client.post(f"{RULES}{made.pk}/switch")
    (alert,) = alerts_of(acme)
    assert (alert.state, alert.resolution) == (AlertState.RESOLVED, "rule_changed")
    assert alice_client.post(f"{RULES}{made.pk}/remove/").status_code == 302
    with organization_scope(acme.pk):
        # It has an alert, which stays.
        assert AlertRule.objects.get(pk=made.pk).archived_at is not None


def test_who_leads_a_team_sets_its_rules_and_its_people_s(
    acme: Organization, search: Team, bob: User, bob_client: Client, alice: User
) -> None:
    with organization_scope(acme.pk):
        TeamMembership.objects.filter(membership__user=bob).update(is_admin=True)
        erik = Membership.objects.get(user=alice)
        TeamMembership.objects.create(organization=acme, team=search, membership=erik)
    mine = rule(acme, "daily_limit", now(), scope="team", ref=search.pk, threshold=10)
    whole = rule(acme, "daily_limit", now(), threshold=10)
    with organization_scope(acme.pk):
        for made in (mine, whole):
            open_alert(made)
        reach = Reach.of(membership_of(bob, acme))
        assert [reach.may_set(one) for one in (mine, whole)] == [True, False]
        assert [one.rule_id for one in reach.seen(Alert.objects.all())] == [mine.pk]
    assert bob_client.get(f"{RULES}{mine.pk}/change/").status_code == 200
    assert bob_client.get(f"{RULES}{whole.pk}/").status_code == 404
    made = bob_client.post(f"{RULES}new/", form(of=f"team:{search.pk}"))
    assert made.status_code == 302
    # What is not offered is no choice.
    assert bob_client.post(f"{RULES}new/", form(of="organization:0")).status_code == 422


def test_finance_sets_rules_about_money_alone(acme: Organization, fiona: User) -> None:
    with organization_scope(acme.pk):
        reach = Reach.of(membership_of(fiona, acme))
    cost, tokens = (
        AlertRule(condition="cost", scope="team", ref=1),
        AlertRule(condition="daily_limit", scope="team", ref=1),
    )
    assert [reach.may_set(one) for one in (cost, tokens)] == [True, False]


def test_credits_are_for_who_sees_money(acme: Organization, vera: User) -> None:
    made = rule(acme, "credits_low", now())
    with organization_scope(acme.pk):
        open_alert(made)
        reach = Reach.of(membership_of(vera, acme))
        assert not reach.may_see(made)
        assert not reach.seen(Alert.objects.all()).exists()
