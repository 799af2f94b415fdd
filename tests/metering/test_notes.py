"""Usage notes: written down by hand, priced and counted as any call, once, and by nobody but their author."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Membership, Organization, Project, Role, User
from core.tenancy import organization_scope
from metering.models import UsageNote
from tests.cast import logged_in
from tests.reports.priced import set_prices

URL = "/o/acme/usage/notes/"
JSON = {"accept": "application/json"}


@pytest.fixture(autouse=True)
def _prices(acme: Organization) -> None:
    set_prices()


def fields(**changes: Any) -> dict[str, Any]:
    at = now().astimezone(dt.timezone(dt.timedelta(0))) - dt.timedelta(hours=3)
    given = {
        "note_id": uuid.uuid4(),
        "model": "gpt-4o",
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "occurred_at": f"{at:%Y-%m-%dT%H:%M}",
        "text": "In the playground",
    }
    return {name: value for name, value in (given | changes).items() if value is not None}


def send(client: Client, **changes: Any) -> Any:
    return client.post(URL, fields(**changes), headers=JSON)


def test_a_note_is_an_event_like_any_other(bob_client: Client, acme_api: Client, bob: User, website: Project) -> None:
    given = fields(project="website", feature="drafting")
    assert bob_client.post(URL, given, headers=JSON).json() == {"status": "created"}
    event = acme_api.get(f"/v1/events/note_{given['note_id']}").json()
    assert (event["model"], event["project"], event["feature"]) == ("gpt-4o", "website", "drafting")
    assert (event["integration"], event["total_tokens"]) == ("manual", 1200)
    assert event["cost_usd"] == "0.0045"
    by_member = acme_api.get("/v1/usage/query?group_by=member,integration").json()["data"]
    assert [row["total_tokens"] for row in by_member] == [1200]
    page = bob_client.get(URL).content.decode()
    assert "In the playground" in page
    assert "1,200" in page


def test_times_are_the_organizations(bob_client: Client, acme_api: Client) -> None:
    given = fields(occurred_at="2026-07-01T12:30")
    bob_client.post(URL, given, headers=JSON)
    assert acme_api.get(f"/v1/events/note_{given['note_id']}").json()["occurred_at"] == "2026-07-01T10:30:00Z"


def test_it_counts_once_however_often_it_is_sent(bob_client: Client, acme_api: Client) -> None:
    given = fields()
    answers = [bob_client.post(URL, given, headers=JSON).json()["status"] for _ in range(3)]
    assert answers == ["created", "duplicate", "duplicate"]
    assert acme_api.get("/v1/usage").json()["total_requests"] == 1
    assert len(bob_client.get(URL).context["notes"]) == 1


def test_the_same_id_with_other_figures_changes_nothing(bob_client: Client, acme_api: Client) -> None:
    given = fields()
    bob_client.post(URL, given, headers=JSON)
    answer = bob_client.post(URL, given | {"prompt_tokens": 5}, headers=JSON)
    assert answer.status_code == 422
    assert "recorded already" in answer.json()["errors"]["__all__"][0]
    assert acme_api.get("/v1/usage").json()["total_tokens"] == 1200


def test_anothers_id_is_not_ones_own(bob_client: Client, alice_client: Client) -> None:
    given = fields()
    bob_client.post(URL, given, headers=JSON)
    assert alice_client.post(URL, given, headers=JSON).status_code == 422
    assert alice_client.get(URL).context["notes"] == []


def test_without_scripts_the_form_is_all_it_takes(bob_client: Client, acme_api: Client) -> None:
    shown = bob_client.get(URL)
    given = fields(note_id=shown.context["form"]["note_id"].value())
    assert bob_client.post(URL, given).headers["Location"] == URL
    assert bob_client.post(URL, given).status_code == 302
    assert acme_api.get("/v1/usage").json()["total_requests"] == 1
    wrong = bob_client.post(URL, given | {"model": ""})
    assert wrong.status_code == 422
    assert "This field is required" in wrong.content.decode()


def test_a_known_cost_stays_beside_the_ledger(bob_client: Client, acme_api: Client) -> None:
    given = fields(prompt_tokens=None, completion_tokens=None, stated_cost="0.25")
    assert bob_client.post(URL, given, headers=JSON).status_code == 200
    usage = acme_api.get("/v1/usage").json()
    assert (usage["total_requests"], usage["total_cost_usd"]) == (1, None)
    (noted,) = bob_client.get(URL).context["notes"]
    assert noted.note.stated_cost_nanos == 250_000_000
    assert noted.event.usage is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": ""}, "model"),
        ({"prompt_tokens": -1}, "prompt_tokens"),
        ({"prompt_tokens": 2**31}, "prompt_tokens"),
        ({"prompt_tokens": None, "completion_tokens": None}, "prompt_tokens"),
        ({"prompt_tokens": None}, "prompt_tokens"),
        ({"completion_tokens": None}, "completion_tokens"),
        ({"completion_tokens": None, "stated_cost": "0.25"}, "completion_tokens"),
        ({"occurred_at": "soon"}, "occurred_at"),
        ({"occurred_at": "2017-01-01T10:00"}, "occurred_at"),
        ({"occurred_at": "2199-01-01T10:00"}, "occurred_at"),
        ({"project": "no-such"}, "project"),
        ({"text": "x" * 1001}, "text"),
        ({"stated_cost": "-1"}, "stated_cost"),
        ({"note_id": "no-uuid"}, "note_id"),
        ({"model": "a\0b"}, "model"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    bob_client: Client, acme_api: Client, changes: dict[str, Any], field: str
) -> None:
    answer = send(bob_client, **changes)
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]
    assert acme_api.get("/v1/usage").json()["total_requests"] == 0


def test_who_may_only_look_notes_nothing(vera_client: Client, charlie_client: Client, client: Client) -> None:
    assert send(vera_client).status_code == 403
    assert send(charlie_client).status_code == 404
    assert send(client).status_code == 302


def test_the_state_says_who_is_here(bob_client: Client, alice_client: Client, bob: User, acme: Organization) -> None:
    bobs, alices = (one.get(f"{URL}state").json() for one in (bob_client, alice_client))
    assert bobs["author"] != alices["author"]
    assert bobs["author"] == bob_client.get(URL).context["author"]
    with organization_scope(acme.pk):
        Membership.objects.filter(user=bob).update(role=Role.ADMIN)
    assert logged_in(bob).get(f"{URL}state").json()["author"] == bobs["author"]


def test_the_token_of_the_state_opens_the_form(bob: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(bob)
    assert strict.post(URL, fields(), headers=JSON).status_code == 403
    token = strict.get(f"{URL}state").json()["csrf_token"]
    assert strict.post(URL, fields(), headers=JSON | {"x-csrftoken": token}).status_code == 200


def test_a_long_list_has_pages_and_a_bounded_number_of_queries(bob_client: Client) -> None:
    for number in range(3):
        send(bob_client, text=f"note {number}")
    bob_client.get(URL)
    with CaptureQueriesContext(connection) as few:
        bob_client.get(URL)
    for number in range(3, 30):
        send(bob_client, text=f"note {number}")
    with CaptureQueriesContext(connection) as many:
        first = bob_client.get(URL).context
    assert len(many) <= len(few)
    assert len(first["notes"]) == 25
    rest = bob_client.get(f"{URL}?before={first['following']}").context
    assert [noted.note.text for noted in rest["notes"]] == [f"note {number}" for number in (4, 3, 2, 1, 0)]


def test_notes_of_another_organization_are_out_of_sight(bob_client: Client, globex: Organization) -> None:
    send(bob_client)
    with organization_scope(globex.pk):
        assert UsageNote.objects.count() == 0
