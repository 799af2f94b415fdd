"""The application without a connection: last figures with their age, nobody else's, and the way back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from django.utils.timezone import now
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from accounts.models import Membership, Organization, Role, User
from core.tenancy import organization_scope
from metering.events import Usage
from reports import installed
from tests.browser.offline import Phone, phone_at
from tests.cast import PASSWORD
from tests.metering.query.usage import make_event, write


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    at = now() - dt.timedelta(seconds=30)
    events = [make_event(f"a{n}", at, "gpt-4o", Usage(input=1000, output=100), user=alice.email) for n in range(3)]
    events.append(make_event("b", at, "gpt-4o", Usage(input=40, output=2), user=bob.email))
    write(acme.pk, events)


@pytest.fixture
def phone(chromium: Browser, live_server: LiveServer, transactional_db: None) -> Iterator[Phone]:
    with phone_at(chromium, live_server.url) as phone:
        yield phone


def open_quick(phone: Phone, email: str) -> None:
    phone.log_in(email, "/o/acme/quick")
    phone.ready()
    expect(phone.page.locator("h1")).to_have_text("Quick overview")
    assert phone.keeps_also("/o/acme/quick")


def test_last_figures_are_readable_and_say_their_age(phone: Phone, alice: User, usage: None) -> None:
    open_quick(phone, alice.email)
    page = phone.page
    page.goto(f"{phone.base_url}/o/acme/overview")
    expect(page.locator(".tl-hero-figure")).to_have_text("3,342")
    page.goto(f"{phone.base_url}/o/acme/quick")
    expect(page.locator("[data-offline]")).to_be_hidden()
    assert phone.keeps_also("/o/acme/quick", "/o/acme/overview")
    phone.lose_connection()
    for path in ("quick", "overview"):
        page.goto(f"{phone.base_url}/o/acme/{path}")
        expect(page.locator(".tl-hero-figure")).to_have_text("3,342")
        expect(page.locator("[data-offline]")).to_contain_text("Offline. Figures as of")
        expect(page.locator("[data-offline]")).to_contain_text("just now")
        expect(page.locator("[data-live-state]")).to_have_text("Offline")
        assert not phone.is_wider_than_its_window()


def test_the_age_grows(phone: Phone, alice: User, usage: None) -> None:
    open_quick(phone, alice.email)
    page = phone.page
    phone.lose_connection()
    page.clock.install(time=now() + dt.timedelta(hours=3, minutes=2))
    page.goto(f"{phone.base_url}/o/acme/quick")
    expect(page.locator("[data-offline]")).to_contain_text("3 h ago")


def test_the_installed_application_starts_without_a_connection(phone: Phone, alice: User, usage: None) -> None:
    open_quick(phone, alice.email)
    phone.lose_connection()
    phone.page.goto(f"{phone.base_url}/start")
    phone.page.wait_for_url("**/o/acme/quick")
    expect(phone.page.locator(".tl-hero-figure")).to_have_text("3,342")


def test_any_other_page_says_that_there_is_no_connection(phone: Phone, alice: User, usage: None) -> None:
    open_quick(phone, alice.email)
    page = phone.page
    page.goto(f"{phone.base_url}/o/acme/settings/keys/")
    expect(page.locator("h1")).to_be_visible()
    phone.lose_connection()
    page.reload()
    expect(page.locator("h1")).to_have_text("No connection")
    page.get_by_role("link", name="Quick overview").click()
    expect(page.locator(".tl-hero-figure")).to_have_text("3,342")


def test_coming_back_shows_the_newest_figures(phone: Phone, acme: Organization, alice: User, usage: None) -> None:
    open_quick(phone, alice.email)
    page = phone.page
    phone.lose_connection()
    page.reload()
    expect(page.locator("[data-offline]")).to_be_visible()
    write(acme.pk, [make_event("new", now() - dt.timedelta(seconds=5), "gpt-4o", Usage(input=5, output=3))])
    phone.find_connection()
    expect(page.locator(".tl-hero-figure")).to_have_text("3,350")
    expect(page.locator("[data-offline]")).to_be_hidden()


def test_only_what_is_marked_is_kept(phone: Phone, alice: User, usage: None) -> None:
    open_quick(phone, alice.email)
    for path in ("/o/acme/settings/keys/", "/o/acme/overview", "/o/acme/models", "/accounts/sessions/"):
        phone.page.goto(phone.base_url + path)
        expect(phone.page.locator("h1")).to_be_visible()
    assert phone.page.evaluate("fetch('/o/acme/quick/live').then((response) => response.status)") == 200
    assert phone.keeps("/o/acme/overview", "/o/acme/quick")
    everything = phone.page.evaluate(
        "caches.keys().then(async (names) => (await Promise.all(names.map(async (name) =>"
        " (await (await caches.open(name)).keys()).map((request) => new URL(request.url).pathname)))).flat())"
    )
    assert {path for path in everything if not path.startswith("/static/")} == {
        "/o/acme/overview",
        "/o/acme/quick",
        "/offline",
    }


def test_nothing_is_left_after_logging_out(phone: Phone, alice: User, bob: User, usage: None) -> None:
    open_quick(phone, alice.email)
    page = phone.page
    assert phone.kept() == ["/o/acme/quick"]
    page.goto(f"{phone.base_url}/accounts/logout/")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/accounts/login/**")
    assert phone.keeps()
    phone.lose_connection()
    page.goto(f"{phone.base_url}/o/acme/quick")
    expect(page.locator("h1")).to_have_text("No connection")
    phone.find_connection()
    page.wait_for_url("**/accounts/login/?next=**")
    page.fill("input[name=login]", bob.email)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    expect(page.locator(".tl-hero-figure")).to_have_text("42")
    assert phone.keeps("/o/acme/quick")
    phone.lose_connection()
    page.reload()
    expect(page.locator(".tl-hero-figure")).to_have_text("42")


def test_a_session_that_ended_elsewhere_empties_it(phone: Phone, alice: User, usage: None) -> None:
    open_quick(phone, alice.email)
    phone.page.context.clear_cookies()
    # it may have noticed by itself at this moment
    phone.page.evaluate("location.reload()")
    phone.page.wait_for_url("**/accounts/login/**")
    assert phone.keeps()


def test_another_organizations_page_empties_it(phone: Phone, alice: User, globex: Organization, usage: None) -> None:
    with organization_scope(globex.pk):
        Membership.objects.create(organization=globex, user=alice, role=Role.MEMBER)
    open_quick(phone, alice.email)
    phone.page.goto(f"{phone.base_url}/o/globex/quick")
    expect(phone.page.get_by_text("No usage yet")).to_be_visible()
    assert phone.keeps("/o/globex/quick")


def test_a_new_release_takes_over_and_keeps_what_is_kept(
    phone: Phone, alice: User, usage: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_quick(phone, alice.email)
    page = phone.page
    monkeypatch.setattr(installed, "_version", lambda: "the-next")
    page.evaluate("navigator.serviceWorker.ready.then((registration) => registration.update())")
    page.wait_for_function(
        "caches.keys().then((names) =>"
        " names.filter((name) => name.startsWith('tl-assets-')).join() === 'tl-assets-the-next')"
    )
    assert phone.keeps("/o/acme/quick")
    phone.lose_connection()
    page.reload()
    expect(page.locator(".tl-hero-figure")).to_have_text("3,342")


def test_what_moved_while_one_looked_is_what_is_kept(
    phone: Phone, acme: Organization, alice: User, usage: None
) -> None:
    open_quick(phone, alice.email)
    page = phone.page
    write(acme.pk, [make_event("new", now() - dt.timedelta(seconds=5), "gpt-4o", Usage(input=5, output=3))])
    # Without the edge there is no stream here: the page asks every ten seconds.
    expect(page.locator(".tl-hero-figure")).to_have_text("3,350", timeout=15_000)
    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.wait_for_timeout(1_000)
    phone.lose_connection()
    page.goto(f"{phone.base_url}/o/acme/quick")
    expect(page.locator("[data-offline]")).to_be_visible()
    expect(page.locator(".tl-hero-figure")).to_have_text("3,350")
