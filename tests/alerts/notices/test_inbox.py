"""The inbox and its bell, what one chooses to be told, and links in e-mails that turn it off."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.core import mail
from django.test import Client

from accounts.models import Organization, User
from alerts.models import Notice, Preference, Rhythm, Timing, Way
from alerts.notices.hours import set_timing
from alerts.notices.sending import send_waiting
from alerts.notices.unsubscribe import DIGEST, link_of
from core.tenancy import organization_scope
from tests.alerts.notices.telling import happen
from tests.cast import logged_in, membership_of

INBOX, CHOICES, HOURS = "/o/acme/inbox/", "/o/acme/notifications/", "/o/acme/notifications/hours/"
SUBJECT = "Support has reached 90% of its budget: $409.70 of $450.00"


def notices(acme: Organization, user: User) -> list[Notice]:
    with organization_scope(acme.pk):
        return list(Notice.objects.filter(member__user=user).order_by("pk"))


def bell(client: Client, path: str = "/o/acme/overview") -> str:
    found = re.search(r'aria-label="Inbox, (\w+) unread"', client.get(path).content.decode())
    assert found
    return found[1]


def test_what_is_told_is_counted_listed_and_read(acme: Organization, fiona: User, fiona_client: Client) -> None:
    assert "Nothing yet" in fiona_client.get(INBOX).content.decode()
    assert bell(fiona_client) == "none"
    happen(acme)
    happen(acme, "invoice.finalized")
    assert bell(fiona_client) == "2"
    assert fiona_client.get(f"{INBOX}count").json()["unread"] == 2
    page = fiona_client.get(INBOX).content.decode()
    # The newest first.
    assert page.index("Invoice INV-2026-0042 of Acme: $1,433.36") < page.index(SUBJECT)
    first, second = notices(acme, fiona)
    with organization_scope(acme.pk):
        at = first.fact.happened_at.astimezone(acme.zone)
    # On the organization's clock.
    assert f"{at:%a} {at.day} {at:%b %Y, %H:%M}" in page
    answer = fiona_client.post(f"{INBOX}{first.pk}/")
    assert (answer.status_code, answer["location"]) == (302, "/o/northbound/budgets/")
    assert bell(fiona_client) == "1"
    fiona_client.post(f"{INBOX}mark", {"unread": first.pk})
    assert bell(fiona_client) == "2"
    fiona_client.post(f"{INBOX}mark", {"read": second.pk})
    assert SUBJECT in fiona_client.get(f"{INBOX}?show=unread").content.decode()
    assert "INV-2026-0042" not in fiona_client.get(f"{INBOX}?show=unread").content.decode()
    fiona_client.post(f"{INBOX}mark", {"all": "yes"})
    assert bell(fiona_client) == "none"


def test_filters_and_pages(acme: Organization, fiona: User, fiona_client: Client) -> None:
    for number in range(27):
        happen(acme, key=str(number))
    happen(acme, "credits.low")
    page = fiona_client.get(f"{INBOX}?topic=credits").content.decode()
    assert "Credits of Acme are low" in page
    assert SUBJECT not in page
    assert fiona_client.get(INBOX).content.decode().count("tl-alert-open") == 25
    assert fiona_client.get(f"{INBOX}?page=2").content.decode().count("tl-alert-open") == 3
    assert fiona_client.get(f"{INBOX}?page=none&topic=none").status_code == 200


@pytest.mark.parametrize("back", ["https://evil.test/", "//evil.test/", "javascript:alert(1)", ""])
def test_marking_leads_back_to_us_alone(acme: Organization, fiona_client: Client, back: str) -> None:
    assert fiona_client.post(f"{INBOX}mark", {"all": "yes", "back": back})["location"] == INBOX


def test_an_inbox_is_its_members_alone(
    acme: Organization, alice: User, fiona: User, alice_client: Client, fiona_client: Client, charlie_client: Client
) -> None:
    happen(acme)
    [hers] = notices(acme, fiona)
    assert alice_client.post(f"{INBOX}{hers.pk}/").status_code == 404
    alice_client.post(f"{INBOX}mark", {"read": hers.pk})
    assert bell(fiona_client) == "1"
    assert charlie_client.post(f"{INBOX}{hers.pk}/").status_code == 404


# ── What one chooses ──


def test_boxes_are_kept(acme: Organization, fiona: User, fiona_client: Client) -> None:
    page = fiona_client.get(CHOICES).content.decode()
    on = re.findall(r'name="([\w.:]+)"\s+value="on"\s+aria-label="[^"]+"\s+checked', page)
    assert "budget.threshold:email" in on
    assert not any(name.startswith(("key.created", "usage.daily_summary")) for name in on)
    assert "Off for your role" in page
    wanted = {name: "on" for name in on if name != "invoice.paid:email"} | {"usage.daily_summary:push": "on"}
    fiona_client.post(CHOICES, wanted)
    with organization_scope(acme.pk):
        kept = {(row.kind, row.way): row.is_on for row in Preference.objects.all()}
    assert kept == {("invoice.paid", "email"): False, ("usage.daily_summary", "push"): True}
    assert "Let my role decide" in fiona_client.get(CHOICES).content.decode()
    fiona_client.post(f"{CHOICES}reset")
    with organization_scope(acme.pk):
        assert not Preference.objects.exists()


def test_hours_are_kept_and_checked(acme: Organization, fiona: User, fiona_client: Client) -> None:
    form = {"timezone": "Asia/Kathmandu", "quiet_from": "22:00", "quiet_until": "07:30", "rhythm": "daily",
            "digest_at": "08:15", "digest_weekday": "4"}  # fmt: skip
    assert fiona_client.post(HOURS, form).status_code == 302
    with organization_scope(acme.pk):
        kept = Timing.objects.get()
    assert (kept.timezone, kept.quiet_until, kept.rhythm, kept.digest_weekday) == (
        "Asia/Kathmandu", dt.time(7, 30), "daily", 4,
    )  # fmt: skip
    page = fiona_client.get(HOURS).content.decode()
    assert 'value="22:00"' in page
    for wrong in ({"quiet_until": ""}, {"quiet_until": "22:00"}, {"timezone": "Mars/Olympus"}, {"digest_at": "25:00"},
                  {"rhythm": "hourly"}, {"digest_weekday": "7"}):  # fmt: skip
        assert fiona_client.post(HOURS, {**form, **wrong}).status_code == 422, wrong
    assert fiona_client.post(HOURS, {**form, "timezone": "", "quiet_from": "", "quiet_until": ""}).status_code == 302


# ── Links in e-mails ──


def link_in(message: mail.EmailMessage) -> str:
    return message.extra_headers["List-Unsubscribe"].strip("<>").removeprefix("http://testserver")


def test_one_click_turns_off_that_kind_s_e_mail_alone(acme: Organization, fiona: User) -> None:
    happen(acme)
    send_waiting()
    link = link_in(mail.outbox[0])
    # As a mail program does it: no session, no token of a form.
    nobody = Client(enforce_csrf_checks=True)
    assert "No more of these" in nobody.get(link).content.decode()
    with organization_scope(acme.pk):
        assert not Preference.objects.exists()
    for _ in range(2):
        answer = nobody.post(link, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 200
    with organization_scope(acme.pk):
        [kept] = Preference.objects.all()
    assert (kept.kind, kept.way, kept.is_on) == ("budget.threshold", "email", False)
    assert "No more of these" not in nobody.get(link).content.decode()
    happen(acme, key="2")
    happen(acme, "credits.low")
    send_waiting()
    assert [sent.subject for sent in mail.outbox[1:]] == ["Credits of Acme are low: $9.81 left"]
    assert len(notices(acme, fiona)) == 3


def test_a_digest_s_link_ends_digests(acme: Organization, fiona: User, client: Client) -> None:
    member = membership_of(fiona, acme)
    with organization_scope(acme.pk):
        set_timing(member, {"rhythm": Rhythm.WEEKLY})
        link = link_of(member, DIGEST).removeprefix("http://testserver")
    client.post(link)
    with organization_scope(acme.pk):
        assert Timing.objects.get().rhythm == Rhythm.URGENT
    assert "No more of these" not in client.get(link).content.decode()


def test_links_of_others_make_are_none(acme: Organization, fiona: User, client: Client) -> None:
    member = membership_of(fiona, acme)
    link = link_of(member, "budget.threshold").removeprefix("http://testserver")
    for wrong in (
        link[:-3] + "aa/",
        "/unsubscribe/nonsense/",
        link_of(member, "no.kind").removeprefix("http://testserver"),
    ):
        assert client.post(wrong).status_code == 404
    with organization_scope(acme.pk):
        assert not Preference.objects.filter(way=Way.EMAIL).exists()


def test_pages_link_to_each_other(acme: Organization, bob: User) -> None:
    browser = logged_in(bob)
    for path in (CHOICES, HOURS, "/accounts/notifications/"):
        page = browser.get(path).content.decode()
        for other in (CHOICES, HOURS, "/accounts/notifications/"):
            assert f'href="{other}"' in page, (path, other)
