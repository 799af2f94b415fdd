"""Push messages: whom, encrypted for whom, signed by whom, sent where, and what becomes of devices that are gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery.exceptions import Retry
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from alerts.models import PushDevice, PushKey
from alerts.push import Message
from alerts.push.keys import public_key
from alerts.tasks import MOST_RETRIES, push
from tests.alerts.push_service import PushService, claims_of, push_service
from tests.cast import logged_in

SUBSCRIBE = "/accounts/notifications/subscribe/"
MESSAGE = Message("Budget at 90%", "Support has used $409.70 of $450.00.", "/o/acme/overview", "budget-1")


@pytest.fixture
def service(settings: Settings) -> Iterator[PushService]:
    settings.PUSH_ALLOW_PRIVATE_SERVICES = True
    with push_service() as service:
        yield service


def subscribed(client: Client, subscription: dict[str, Any], status: int = 201) -> Any:
    response = client.post(SUBSCRIBE, subscription, content_type="application/json", headers={"user-agent": "Firefox"})
    assert response.status_code == status, response.content
    return response.json()


def device_of(user: User) -> PushDevice:
    return PushDevice.objects.get(user=user)


# ── Sending ──


def test_a_message_arrives_encrypted_and_signed(alice_client: Client, alice: User, service: PushService) -> None:
    subscribed(alice_client, service.subscription())
    push(device_of(alice).pk, MESSAGE.content)
    assert service.received == [MESSAGE.content]
    (headers,) = service.headers
    assert headers["content-encoding"] == "aes128gcm"
    assert int(headers["ttl"]) > 0
    assert headers["authorization"].endswith(f"k={public_key()}")
    claims = claims_of(headers["authorization"])
    assert claims["aud"] == service.origin
    assert claims["sub"].startswith("mailto:")
    assert time.time() < claims["exp"] < time.time() + 24 * 3600
    assert device_of(alice).last_sent_at is not None


def test_long_words_are_cut_to_what_a_push_service_takes(
    alice_client: Client, alice: User, service: PushService
) -> None:
    subscribed(alice_client, service.subscription())
    push(device_of(alice).pk, Message("é" * 500, "漢" * 5000, "/" + "x" * 5000).content)
    (got,) = service.received
    assert (len(got["title"]), len(got["body"]), got["url"]) == (120, 600, "/")


def test_a_message_leads_nowhere_else() -> None:
    for url in ("https://evil.test/", "//evil.test/", "evil"):
        with pytest.raises(ValueError, match="path"):
            Message("a", "b", url)


@pytest.mark.parametrize("status", [404, 410])
def test_a_device_that_is_gone_is_removed(alice_client: Client, alice: User, service: PushService, status: int) -> None:
    subscribed(alice_client, service.subscription())
    pk = device_of(alice).pk
    service.answers = [(status, {})]
    push(pk, MESSAGE.content)
    assert not PushDevice.objects.filter(user=alice).exists()
    push(pk, MESSAGE.content)


@pytest.mark.parametrize(
    ("answer", "wait"),
    [((429, {"Retry-After": "120"}), 120), ((503, {"Retry-After": "999999"}), 3600), ((500, {}), None)],
)
def test_a_push_service_in_trouble_is_asked_again(
    alice_client: Client,
    alice: User,
    service: PushService,
    answer: tuple[int, dict[str, str]],
    wait: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscribed(alice_client, service.subscription())
    service.answers = [answer, (201, {})]
    waits: list[float] = []

    def retry(*, exc: Exception, countdown: float) -> Retry:
        waits.append(countdown)
        return Retry(exc=exc)

    monkeypatch.setattr(push, "retry", retry)
    with pytest.raises(Retry):
        push(device_of(alice).pk, MESSAGE.content)
    assert device_of(alice).problem == f"Its push service answered {answer[0]}."
    assert waits == [wait] if wait else 15 <= waits[0] <= 20
    push(device_of(alice).pk, MESSAGE.content)
    assert device_of(alice).problem == ""


def test_what_is_refused_for_good_is_not_repeated(alice_client: Client, alice: User, service: PushService) -> None:
    subscribed(alice_client, service.subscription())
    service.answers = [(403, {})]
    push(device_of(alice).pk, MESSAGE.content)
    assert len(service.received) == 1
    assert device_of(alice).problem == "Its push service answered 403."


def test_it_gives_up_after_some_tries(alice_client: Client, alice: User, service: PushService) -> None:
    subscribed(alice_client, service.subscription())
    service.answers = [(503, {})]
    push.apply(args=(device_of(alice).pk, MESSAGE.content), retries=MOST_RETRIES)
    assert len(service.received) == 1


def test_redirects_lead_nowhere(alice_client: Client, alice: User, service: PushService) -> None:
    subscribed(alice_client, service.subscription())
    service.answers = [(307, {"Location": f"{service.origin}/elsewhere"}), (201, {})]
    push(device_of(alice).pk, MESSAGE.content)
    assert len(service.received) == 1
    assert device_of(alice).problem == "Its push service answered 307."


# ── A browser that subscribes anew by itself ──


def test_a_renewed_subscription_stands_in_the_place_of_the_old_one(
    alice_client: Client, alice: User, service: PushService
) -> None:
    old, new = service.subscription("old"), service.subscription("new")
    subscribed(alice_client, old)
    subscribed(alice_client, {**new, "replaces": old["endpoint"]})
    assert device_of(alice).endpoint == new["endpoint"]


def test_a_device_that_was_removed_does_not_come_back_by_itself(
    alice_client: Client, bob_client: Client, bob: User, service: PushService
) -> None:
    old, new = service.subscription("old"), service.subscription("new")
    subscribed(bob_client, old)
    subscribed(alice_client, {**new, "replaces": old["endpoint"]}, 404)
    assert device_of(bob).endpoint == old["endpoint"]
    PushDevice.objects.all().delete()
    subscribed(bob_client, {**new, "replaces": old["endpoint"]}, 404)
    assert not PushDevice.objects.exists()


def test_the_worker_learns_the_key_and_a_token(alice: User, service: PushService) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.get(f"{SUBSCRIBE}state").status_code == 302
    client.force_login(alice)
    response = client.get(f"{SUBSCRIBE}state")
    told = response.json()
    assert told["key"] == public_key()
    assert "no-store" in response.headers["Cache-Control"]
    sent = client.post(
        SUBSCRIBE, service.subscription(), "application/json", headers={"x-csrftoken": told["csrf_token"]}
    )
    assert sent.status_code == 201


# ── Addresses and keys ──


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example.com/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://169.254.169.254/latest?x=1",
        "https://0x7f.1/x",
        "https://localhost/x",
        "https://redis.internal:443/",
        "https://push.example.com:6379/",
        "https://user:pw@push.example.com/",
        "https://push.example.com/x#y",
        "https://push.example.com\\@127.0.0.1/",
        "https://push.example.com/?a=\\b",
        "https://push.example.com/ x",
        "https://push.example.com/\n",
        "ftp://push.example.com/",
        "",
    ],
)
def test_only_public_push_services_are_subscribed(
    alice_client: Client, service: PushService, settings: Settings, endpoint: str
) -> None:
    settings.PUSH_ALLOW_PRIVATE_SERVICES = False
    subscribed(alice_client, service.subscription() | {"endpoint": endpoint}, 422)
    assert not PushDevice.objects.exists()


def test_a_service_that_became_private_gets_nothing(
    alice_client: Client, alice: User, service: PushService, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribed(alice_client, service.subscription())
    settings.PUSH_ALLOW_PRIVATE_SERVICES = False
    monkeypatch.setattr(push, "retry", lambda *, exc, countdown: Retry(exc=exc))
    # An address written as a number, and a name that leads to one.
    for endpoint in (service.subscription()["endpoint"], f"http://localhost:{service.server.server_port}/x"):
        PushDevice.objects.update(endpoint=endpoint)
        with pytest.raises(Retry):
            push(device_of(alice).pk, MESSAGE.content)
    assert service.received == []


@pytest.mark.parametrize("keys", [{"p256dh": "AAAA", "auth": "x"}, {"p256dh": "é", "auth": ""}, {}, None, {"auth": 1}])
def test_keys_that_are_none_are_refused(alice_client: Client, service: PushService, keys: Any) -> None:
    subscribed(alice_client, service.subscription() | {"keys": keys}, 422)


def test_no_json_is_refused(alice_client: Client, db: None) -> None:
    assert alice_client.post(SUBSCRIBE, b"\xff{", content_type="application/json").status_code == 422


def test_there_is_one_key_pair_and_it_is_encrypted(db: None) -> None:
    assert public_key() == public_key()
    assert PushKey.objects.count() == 1
    assert b"PRIVATE KEY" not in bytes(PushKey.objects.get().sealed)


def test_the_key_outlives_a_new_secret(db: None, settings: Settings, alice_client: Client) -> None:
    before, old = public_key(), settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [old]
    call_command("renew_push_key")
    settings.SECRET_KEY_FALLBACKS = []
    assert public_key() == before
    settings.SECRET_KEY = "a third"
    with pytest.raises(CommandError, match="another SECRET_KEY"):
        call_command("renew_push_key")


# ── The page ──


def test_a_device_is_listed_tested_and_removed_by_its_person(
    alice_client: Client, alice: User, bob_client: Client, service: PushService
) -> None:
    subscribed(alice_client, service.subscription())
    device = device_of(alice)
    page = alice_client.get("/accounts/notifications/").content.decode()
    assert "Firefox" in page
    assert device.endpoint not in page
    assert public_key() in page
    assert "Firefox" not in bob_client.get("/accounts/notifications/").content.decode()
    for act in ("test", "remove"):
        assert bob_client.post(f"/accounts/notifications/{device.pk}/{act}/").status_code == 404
    assert alice_client.post(f"/accounts/notifications/{device.pk}/test/").status_code == 302
    assert alice_client.post(f"/accounts/notifications/{device.pk}/remove/").status_code == 302
    assert not PushDevice.objects.exists()


def test_a_browser_belongs_to_who_uses_it_now(
    alice_client: Client, bob_client: Client, bob: User, service: PushService
) -> None:
    subscribed(alice_client, service.subscription())
    subscribed(bob_client, service.subscription())
    assert device_of(bob).user == bob
    assert PushDevice.objects.count() == 1


def test_devices_are_limited(alice: User, service: PushService) -> None:
    client = logged_in(alice)
    for number in range(20):
        subscribed(client, service.subscription(str(number)))
    subscribed(client, service.subscription("3"))
    assert "At most 20" in subscribed(client, service.subscription("20"), 422)["message"]
