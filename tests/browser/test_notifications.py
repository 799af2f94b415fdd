"""Push messages in a browser: turned on, shown by the service worker, opened by a touch.

Chromium without a screen has no push service: what it would subscribe to is the one of the test, and what that service
would hand on is handed to the worker by the debugger. All else is real.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Browser, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from alerts.models import PushDevice
from alerts.push import Message
from alerts.tasks import push
from tests.alerts.push_service import PushService, push_service
from tests.browser.offline import Phone, phone_at

URL = "/accounts/notifications/"
SUBSCRIBED = """
(subscription) => {
  let current = null;
  const found = { ...subscription, toJSON: () => subscription, unsubscribe: async () => { current = null; } };
  PushManager.prototype.getSubscription = async () => current;
  PushManager.prototype.subscribe = async (options) => {
    if (!options.userVisibleOnly || options.applicationServerKey.length !== 65) throw new Error("no key");
    current = found;
    return found;
  };
}
"""


@pytest.fixture
def service(settings: Settings) -> Iterator[PushService]:
    settings.PUSH_ALLOW_PRIVATE_SERVICES = True
    with push_service() as service:
        yield service


@pytest.fixture
def phone(chromium: Browser, live_server: LiveServer, transactional_db: None) -> Iterator[Phone]:
    with phone_at(chromium, live_server.url) as phone:
        phone.page.context.grant_permissions(["notifications"], origin=live_server.url)
        yield phone


def told(device_id: int, message: Message) -> None:
    """As a worker does it, in a thread without Playwright's loop."""
    push(device_id, message.content)
    connection.close()


def hand_over(phone: Phone, content: dict[str, str]) -> None:
    """To the worker, as the browser does with what its push service brings."""
    session = phone.page.context.new_cdp_session(phone.page)
    found: list[dict[str, Any]] = []
    session.on("ServiceWorker.workerRegistrationUpdated", lambda event: found.extend(event["registrations"]))
    session.send("ServiceWorker.enable")
    for _ in range(50):
        if found:
            break
        phone.page.wait_for_timeout(100)
    session.send(
        "ServiceWorker.deliverPushMessage",
        {
            "origin": phone.base_url,
            "registrationId": found[0]["registrationId"],
            "data": json.dumps(content),
        },
    )


def test_from_turning_on_to_a_message(phone: Phone, alice: User, service: PushService) -> None:
    phone.log_in(alice.email, URL)
    page = phone.ready()
    page.evaluate(SUBSCRIBED, service.subscription())
    page.get_by_role("button", name="Turn on for this device").click()
    expect(page.locator("[data-device]")).to_have_count(1)
    device = PushDevice.objects.get(user=alice)
    assert not phone.is_wider_than_its_window()

    message = Message("Budget at 90%", "Support has used $409.70 of $450.00.", "/o/acme/quick", "budget")
    with ThreadPoolExecutor(1) as worker:
        worker.submit(told, device.pk, message).result()
    (content,) = service.received
    hand_over(phone, content)
    shown = (
        "navigator.serviceWorker.ready.then((r) => r.getNotifications())"
        ".then((all) => all.map((n) => [n.title, n.body, n.tag, n.data.url]))"
    )
    page.wait_for_function("navigator.serviceWorker.ready.then((r) => r.getNotifications()).then((all) => all.length)")
    assert page.evaluate(shown) == [[message.title, message.body, "budget", "/o/acme/quick"]]

    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No device yet")).to_be_visible()
    assert not PushDevice.objects.exists()


# An event as the browser makes it, but for its trust: what its listeners wait for is waited for here.
HAPPENED = """
async ([name, fields]) => {
  const event = Object.assign(new Event(name), fields);
  const waits = [];
  event.waitUntil = (promise) => waits.push(promise);
  if (event.notification) event.notification.close = () => null;
  if (event.newSubscription) event.newSubscription.toJSON = () => ({ ...fields.newSubscription, toJSON: undefined });
  // Only a person's own click may take the focus.
  WindowClient.prototype.focus = async function () { return this; };
  self.dispatchEvent(event);
  await Promise.all(waits);
}
"""


def happens(phone: Phone, name: str, **fields: Any) -> None:
    (worker,) = phone.page.context.service_workers
    worker.evaluate(HAPPENED, [name, fields])


def test_a_subscription_that_the_browser_replaces(phone: Phone, alice: User, service: PushService) -> None:
    phone.log_in(alice.email, URL)
    page = phone.ready()
    old, new = service.subscription("old"), service.subscription("new")
    page.evaluate(SUBSCRIBED, old)
    page.get_by_role("button", name="Turn on for this device").click()
    expect(page.locator("[data-device]")).to_have_count(1)
    happens(phone, "pushsubscriptionchange", oldSubscription=old, newSubscription=new)
    assert PushDevice.objects.get(user=alice).endpoint == new["endpoint"]
    # Who is logged out is told nothing, so nothing is sent.
    page.context.clear_cookies()
    happens(phone, "pushsubscriptionchange", oldSubscription=new, newSubscription=old)
    assert PushDevice.objects.get(user=alice).endpoint == new["endpoint"]


def test_a_touch_on_a_message_opens_what_it_is_about(phone: Phone, alice: User) -> None:
    phone.log_in(alice.email, URL)
    page = phone.ready()
    happens(phone, "notificationclick", notification={"data": {"url": "/accounts/sessions/"}})
    page.wait_for_url("**/accounts/sessions/")
