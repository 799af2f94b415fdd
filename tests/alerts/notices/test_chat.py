"""Rooms of chat programs: what is told there, in which form, and what an address must not be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils.timezone import now
from pytest_django.fixtures import Settings

from accounts.audit import Actor
from accounts.models import AuditEntry, Organization, Team
from alerts.chat.payloads import markdown, mrkdwn, payload_of
from alerts.chat.rooms import create_room
from alerts.examples import EXAMPLES
from alerts.letters import LETTERS, letter_of
from alerts.models import ChatChannel, Dialect, Dispatch, ToldFact
from alerts.notices.sending import send_waiting
from core.errors import ApiError
from core.tenancy import organization_scope
from tests.alerts.chat_receiver import ChatReceiver, chat_receiver
from tests.alerts.notices.telling import happen

PAGE = "/o/acme/settings/channels/"
BY = Actor.of_command("test")
BUDGETS = ["budget.threshold"]


@pytest.fixture
def receiver(settings: Settings) -> Iterator[ChatReceiver]:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    with chat_receiver() as receiver:
        yield receiver


def room(acme: Organization, receiver: ChatReceiver, name: str = "#costs", **values: Any) -> ChatChannel:
    with organization_scope(acme.pk):
        return create_room(acme, receiver.url, {"name": name, "dialect": "slack", "kinds": BUDGETS, **values}, by=BY)


def again(one: ChatChannel) -> ChatChannel:
    with organization_scope(one.organization_id):
        return ChatChannel.objects.get(pk=one.pk)


# ── What is said ──


def letter(acme: Organization, kind: str = "budget.threshold", **said: Any) -> Any:
    fact = ToldFact(organization=acme, kind=kind, data={**EXAMPLES[kind], **said}, happened_at=now())
    return letter_of(fact, acme)


@pytest.mark.parametrize("kind", LETTERS)
@pytest.mark.parametrize("dialect", Dialect)
def test_every_kind_fits_every_program(acme: Organization, kind: str, dialect: Dialect) -> None:
    payload = payload_of(dialect, letter(acme, kind), "https://tl.test/x", "Acme")
    text = json.dumps(payload)
    assert "https://tl.test/x" in text
    # Teams takes 28 KB, Slack 3,000 characters a section and ten fields.
    assert len(text) < 28_000
    for block in payload["attachments"][0].get("blocks", []):
        assert len(block.get("fields", [])) <= 10
        assert len(block.get("text", {}).get("text", "")) <= 3_000


def test_slack_gets_blocks_and_words_for_notifications(acme: Organization) -> None:
    payload = payload_of("slack", letter(acme), "https://tl.test/x", "Acme")
    subject = "Support has reached 90% of its budget: $409.70 of $450.00"
    assert payload["text"] == subject
    [attachment] = payload["attachments"]
    first, fields, *_, link, context = attachment["blocks"]
    assert first["text"]["text"].startswith(f"*{subject}*\n")
    assert {"type": "mrkdwn", "text": "*Budget*\n$450.00"} in fields["fields"]
    assert link["text"]["text"] == "<https://tl.test/x|See the budget>"
    assert context["elements"][0]["text"] == "Acme"


def test_mattermost_gets_fields(acme: Organization) -> None:
    [attachment] = payload_of("mattermost", letter(acme), "https://tl.test/x", "Acme")["attachments"]
    assert attachment["title_link"] == "https://tl.test/x"
    assert {"title": "Budget", "value": "$450.00", "short": True} in attachment["fields"]


def test_teams_gets_an_adaptive_card(acme: Organization) -> None:
    payload = payload_of("teams", letter(acme), "https://tl.test/x", "Acme")
    [attachment] = payload["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    [facts] = [part for part in card["body"] if part["type"] == "FactSet"]
    assert {"title": "Budget", "value": "$450.00"} in facts["facts"]
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "See the budget", "url": "https://tl.test/x"}]


def test_what_something_is_called_mentions_nobody_and_links_nowhere() -> None:
    assert mrkdwn("<!channel> & <https://x|y>") == "&lt;!channel&gt; &amp; &lt;https://x|y&gt;"
    assert markdown("@here [a](b) *c*") == "@\u200bhere \\[a\\](b) \\*c\\*"


# ── What is told where ──


def test_a_room_hears_the_highest_of_thresholds_reached_at_once(acme: Organization, receiver: ChatReceiver) -> None:
    room(acme, receiver)
    happen(acme, key="90", is_highest=False)
    highest = happen(acme, key="95", threshold_percent=95)
    with organization_scope(acme.pk):
        assert [row.fact_id for row in Dispatch.objects.filter(channel="chat")] == [highest.pk]


def test_a_fact_comes_to_the_rooms_that_want_it(acme: Organization, receiver: ChatReceiver, search: Team) -> None:
    room(acme, receiver)
    room(acme, receiver, "#others", kinds=["invoice.paid"])
    room(acme, receiver, "#search", team_ref=search.pk)
    room(acme, receiver, "#paused", is_active=False)
    happen(acme)
    assert send_waiting() == 1
    assert receiver.paths == ["/services/T1/B2/secret?sig=a%2Fb"]
    happen(acme, key="2", scope="team", ref=search.pk)
    assert send_waiting() == 2
    assert send_waiting() == 0


@pytest.mark.parametrize(
    ("status", "text", "is_over"),
    [(404, "no_service", True), (400, "invalid_blocks", True), (429, "", False), (500, "", False)],
)
def test_what_a_receiver_refuses(
    acme: Organization, receiver: ChatReceiver, status: int, text: str, is_over: bool
) -> None:
    one = room(acme, receiver)
    receiver.answers = [(status, text, {"Retry-After": "90"})]
    happen(acme)
    send_waiting()
    with organization_scope(acme.pk):
        row = Dispatch.objects.get()
    assert (row.given_up_at is not None) is is_over
    assert is_over or 80 < (row.due_at - now()).total_seconds() < 91
    assert again(one).problem == f"It answered {status}.{f' It says: {text}' if text else ''}"
    assert again(one).last_sent_at is None


def test_a_room_paused_meanwhile_is_not_told(acme: Organization, receiver: ChatReceiver) -> None:
    one = room(acme, receiver)
    happen(acme)
    with organization_scope(acme.pk):
        ChatChannel.objects.filter(pk=one.pk).update(is_active=False)
    send_waiting()
    assert receiver.received == []


def test_other_organizations_rooms_are_not_told(
    acme: Organization, globex: Organization, receiver: ChatReceiver
) -> None:
    room(acme, receiver)
    happen(globex)
    assert send_waiting() == 0


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/x", "https://169.254.169.254/latest", "http://hooks.slack.com/services/x", "https://localhost/x",
        "https://[::1]/x", "https://hooks.slack.com/x#y", "https://user:secret@hooks.slack.com/x", "ftp://a.test/x",
        "https://10.0.0.1/x?sig=1", "https://redis.internal:6379/x", "nonsense",
    ],
)  # fmt: skip
def test_addresses_inside_are_refused(acme: Organization, address: str) -> None:
    with organization_scope(acme.pk), pytest.raises(ApiError) as refusal:
        create_room(acme, address, {"name": "x", "dialect": "slack", "kinds": BUDGETS}, by=BY)
    assert refusal.value.status == 422


def test_a_name_that_leads_inside_is_not_connected_to(
    acme: Organization, receiver: ChatReceiver, settings: Settings
) -> None:
    one = room(acme, receiver)
    settings.WEBHOOKS_ALLOW_PRIVATE = False
    happen(acme)
    send_waiting()
    assert receiver.received == []
    assert again(one).problem == "Its name leads to no address of the public Internet."


def test_another_secret_key(acme: Organization, receiver: ChatReceiver, settings: Settings) -> None:
    one = room(acme, receiver)
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    settings.SECRET_KEY_FALLBACKS = [former]
    call_command("renew_chat_addresses")
    settings.SECRET_KEY_FALLBACKS = []
    happen(acme)
    send_waiting()
    assert len(receiver.received) == 1
    settings.SECRET_KEY = "a third"
    with pytest.raises(CommandError, match="#costs of Acme"):
        call_command("renew_chat_addresses")
    happen(acme, key="2")
    send_waiting()
    assert "stored with another SECRET_KEY" in again(one).problem


# ── Pages ──


def test_from_the_form_to_a_test_message(acme: Organization, adam_client: Client, receiver: ChatReceiver) -> None:
    form = {"name": "#costs", "dialect": "teams", "address": receiver.url, "kinds": [*BUDGETS, "calls.suspended"]}
    assert adam_client.post(f"{PAGE}new/", form).status_code == 302
    page = adam_client.get(PAGE).content.decode()
    assert "127.0.0.1/…a%2Fb"[:11] in page
    assert "services/T1" not in page
    with organization_scope(acme.pk):
        one = ChatChannel.objects.get()
        [entry] = AuditEntry.objects.filter(action="chat_channel.create")
    assert "services" not in json.dumps(entry.changes)
    assert b"services/T1" not in bytes(one.sealed)
    adam_client.post(f"{PAGE}{one.pk}/act", {"do": "test"})
    assert receiver.received[0]["summary"] == "It works: Acme is told here"
    assert again(one).last_sent_at is not None

    receiver.answers = [(403, "invalid_token", {})]
    page = adam_client.post(f"{PAGE}{one.pk}/act", {"do": "test"}, follow=True).content.decode()
    assert "The test did not arrive. It answered 403. It says: invalid_token" in page
    assert again(one).problem == "It answered 403. It says: invalid_token"

    adam_client.post(f"{PAGE}{one.pk}/act", {"do": "pause"})
    assert again(one).is_active is False
    # Another name keeps the address; another address is another secret.
    changed = {"name": "#spend", "dialect": "teams", "kinds": BUDGETS, "address": ""}
    adam_client.post(f"{PAGE}{one.pk}/", changed)
    assert again(one).name == "#spend"
    assert bytes(again(one).sealed) == bytes(one.sealed)
    adam_client.post(f"{PAGE}{one.pk}/", {**changed, "address": f"{receiver.url}2"})
    assert bytes(again(one).sealed) != bytes(one.sealed)
    adam_client.post(f"{PAGE}{one.pk}/delete/")
    with organization_scope(acme.pk):
        assert not ChatChannel.objects.exists()
        actions = list(
            AuditEntry.objects.filter(action__startswith="chat").order_by("pk").values_list("action", flat=True)
        )
    assert actions == [f"chat_channel.{act}" for act in ("create", "pause", "update", "update", "delete")]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("address", "https://10.0.0.1/x", "no address of the public Internet"),
        ("kinds", [], "This field is required"),
        ("name", "#costs", "There is a channel of this name already"),
    ],
)
def test_what_the_form_refuses(acme: Organization, adam_client: Client, field: str, value: Any, words: str) -> None:
    form = {"name": "#new", "dialect": "slack", "address": "https://hooks.slack.com/services/x", "kinds": BUDGETS}
    assert adam_client.post(f"{PAGE}new/", {**form, "name": "#costs"}).status_code == 302
    answer = adam_client.post(f"{PAGE}new/", {**form, field: value})
    assert answer.status_code in (200, 422)
    assert words in answer.content.decode()
