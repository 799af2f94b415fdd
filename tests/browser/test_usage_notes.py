"""Usage notes on a phone: written without a connection, kept, sent once when it is back, mended when refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from core.tenancy import organization_scope
from metering.models import UsageNote
from tests.browser.offline import Phone, phone_at
from tests.cast import Key
from tests.reports.priced import set_prices

URL = "/o/acme/usage/notes/"


@pytest.fixture
def phone(chromium: Browser, live_server: LiveServer, transactional_db: None) -> Iterator[Phone]:
    with phone_at(chromium, live_server.url) as phone:
        yield phone


@pytest.fixture
def notes(phone: Phone, bob: User) -> Page:
    """Bob's page of notes, with the worker behind it."""
    set_prices()
    phone.log_in(bob.email, URL)
    page = phone.ready()
    expect(page.locator("h1")).to_have_text("Usage notes")
    page.wait_for_function("caches.keys().then((names) => names.some((name) => name.startsWith('tl-pages-')))")
    return page


def write(page: Page, text: str, model: str = "gpt-4o") -> None:
    page.fill("[name=model]", model)
    page.fill("[name=prompt_tokens]", "1000")
    page.fill("[name=completion_tokens]", "200")
    page.fill("[name=text]", text)
    page.get_by_role("button", name="Note usage").click()


def texts(organization_id: int) -> list[str]:
    with organization_scope(organization_id):
        return sorted(UsageNote.objects.values_list("text", flat=True))


def test_a_note_is_recorded_and_listed_at_once(notes: Page, acme_key: Key) -> None:
    write(notes, "at my desk")
    expect(notes.locator("#notes")).to_contain_text("at my desk")
    expect(notes.locator("#notes")).to_contain_text("1,200")
    expect(notes.locator("[data-note-queue]")).to_be_hidden()
    expect(notes.locator("[name=model]")).to_have_value("")
    assert acme_key.client.get("/v1/usage").json()["total_tokens"] == 1200


def test_a_note_made_offline_is_sent_once_when_the_connection_is_back(
    phone: Phone, notes: Page, bob: User, acme_key: Key
) -> None:
    phone.lose_connection()
    notes.reload()
    write(notes, "on the train")
    queue = notes.locator("[data-note-queue]")
    expect(queue).to_contain_text("on the train")
    expect(queue).to_contain_text("Waits for a connection")
    # killed in between: it is still there
    notes.reload()
    expect(queue).to_contain_text("on the train")
    write(notes, "and another")
    expect(queue.locator("li")).to_have_count(2)
    assert acme_key.client.get("/v1/usage").json()["total_requests"] == 0
    phone.find_connection()
    expect(notes.locator("#notes")).to_contain_text("on the train", timeout=20_000)
    expect(notes.locator("#notes")).to_contain_text("and another")
    expect(queue).to_be_hidden()
    notes.evaluate("TlNotes.send()")
    assert acme_key.client.get("/v1/usage").json()["total_requests"] == 2
    assert texts(acme_key.row.organization_id) == ["and another", "on the train"]


def test_an_answer_that_was_lost_does_not_count_twice(
    chromium: Browser, live_server: LiveServer, transactional_db: None, bob: User, acme_key: Key
) -> None:
    lost = []

    def lose(route: Route) -> None:
        # The server has it; the phone never hears of it.
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    with phone_at(chromium, live_server.url, "block") as phone:
        phone.log_in(bob.email, URL)
        page = phone.page
        page.route(f"**{URL}", lose)
        write(page, "in a tunnel")
        expect(page.locator("[data-note-said]")).to_contain_text("Kept on this device")
        expect(page.locator("[data-note-queue]")).to_contain_text("in a tunnel")
        assert lost == [200]
        page.evaluate("dispatchEvent(new Event('online'))")
        expect(page.locator("[data-note-queue]")).to_be_hidden()
    assert acme_key.client.get("/v1/usage").json()["total_requests"] == 1


def test_two_taps_are_one_note(notes: Page, acme_key: Key) -> None:
    notes.fill("[name=model]", "gpt-4o")
    notes.fill("[name=prompt_tokens]", "7")
    notes.fill("[name=completion_tokens]", "0")
    notes.get_by_role("button", name="Note usage").dblclick()
    expect(notes.locator("#notes tbody tr")).to_have_count(1)
    notes.wait_for_timeout(500)
    assert acme_key.client.get("/v1/usage").json()["total_requests"] == 1


def test_a_refused_note_says_why_and_can_be_mended(phone: Phone, notes: Page, acme_key: Key) -> None:
    phone.lose_connection()
    notes.reload()
    notes.fill("[name=occurred_at]", "2017-01-01T10:00")
    write(notes, "long ago")
    expect(notes.locator("[data-note-queue]")).to_contain_text("Waits")
    phone.find_connection()
    queue = notes.locator("[data-note-queue]")
    expect(queue).to_contain_text("Not recorded")
    expect(queue).to_contain_text("before 2018")
    phone.complaints.clear()  # the console repeats the refusal
    queue.get_by_role("button", name="Mend").click()
    expect(notes.locator("[name=text]")).to_have_value("long ago")
    expect(notes.locator("[name=occurred_at]")).to_have_attribute("aria-invalid", "true")
    notes.fill("[name=occurred_at]", "2026-11-01T10:00")
    notes.get_by_role("button", name="Note usage").click()
    expect(notes.locator("#notes")).to_contain_text("long ago")
    expect(queue).to_be_hidden()
    assert acme_key.client.get("/v1/usage").json()["total_requests"] == 1


def test_anothers_notes_wait_for_their_author(phone: Phone, notes: Page, alice: User, bob: User, acme_key: Key) -> None:
    phone.lose_connection()
    notes.reload()
    write(notes, "bob's own")
    expect(notes.locator("[data-note-queue]")).to_contain_text("bob's own")
    phone.page.context.clear_cookies()
    notes.goto("about:blank")
    phone.find_connection()
    phone.log_in(alice.email, URL)
    expect(notes.locator("h1")).to_have_text("Usage notes")
    notes.evaluate("TlNotes.send()")
    expect(notes.locator("[data-note-queue]")).to_be_hidden()
    assert acme_key.client.get("/v1/usage").json()["total_requests"] == 0
    phone.page.context.clear_cookies()
    phone.log_in(bob.email, URL)
    expect(notes.locator("#notes")).to_contain_text("bob's own")
    assert acme_key.client.get("/v1/usage").json()["total_requests"] == 1


def test_nothing_sticks_out(phone: Phone, notes: Page) -> None:
    write(notes, "an-unbroken-word-" * 20)
    expect(notes.locator("#notes tbody tr")).to_have_count(1)
    assert not phone.is_wider_than_its_window()
