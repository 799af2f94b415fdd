"""Figures that move: who hears of what, that they are the ledger's, and what survives."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.test import Client
from django.utils.timezone import now
from redis import Redis

from accounts.models import Membership, Organization, Role, User
from core.tenancy import organization_scope
from metering.events import Usage
from reports.live import feeds, hints, stream
from tests.cast import Key, logged_in, make_member, membership_of
from tests.metering.limits.redis_server import PACKAGED, RedisServer, program
from tests.metering.query.usage import make_event, write
from tests.reports.live import Listener, Server, listening, serving, until
from tests.reports.live import server as server

PATH = "/o/acme/overview/stream?range=today"


@pytest.fixture
def send() -> Callable[..., None]:
    """Store calls of a person, 1,100 tokens each."""
    numbers = itertools.count()

    def act(organization: Organization, person: User, calls: int = 1) -> None:
        at = now() - dt.timedelta(seconds=1)
        write(
            organization.pk,
            [
                make_event(
                    f"{person.name}-{next(numbers)}", at, "gpt-4o", Usage(input=1000, output=100), user=person.email
                )
                for _ in range(calls)
            ],
        )

    return act


def tokens(listener: Listener) -> str:
    """The first card."""
    if not listener.frames:
        return ""
    found = re.search(r'is-wide">.*?tl-num">([^<]*)<', listener.frames[-1].get("html", ""), re.DOTALL)
    return found[1] if found else ""


def test_figures_move_with_what_is_stored(
    server: Server, acme: Organization, alice: User, acme_key: Key, send: Callable[..., None]
) -> None:
    send(acme, alice)
    with listening(server, logged_in(alice), PATH) as heard:
        until(lambda: tokens(heard) == "1,100")
        assert heard.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert heard.headers["x-accel-buffering"] == "no"
        assert "no-transform" in heard.headers["cache-control"]
        assert heard.lines[0] == "retry: 2000"
        send(acme, alice, 2)
        until(lambda: tokens(heard) == "3,300")
        # through the door, whose transactions are its own
        answer = httpx.post(
            f"{server.url}/v1/events",
            json={"id": "d1", "model": "gpt-4o", "usage": {"prompt_tokens": 7, "completion_tokens": 0}},
            headers={"Authorization": f"Bearer {acme_key.secret}"},
        )
        assert answer.status_code == 200
        until(lambda: tokens(heard) == "3,307")


def test_every_frame_equals_what_the_api_says(
    server: Server, acme: Organization, alice: User, acme_key: Key, send: Callable[..., None]
) -> None:
    with listening(server, logged_in(alice), "/o/acme/overview/stream?measure=requests") as heard:
        for calls in (1, 3, 2):
            send(acme, alice, calls)
            totals = acme_key.client.get("/v1/usage").json()
            until(lambda totals=totals: tokens(heard) == f"{totals['total_tokens']:,}")
            html = heard.frames[-1]["html"]
            chart = re.search(r'<script id="usage" type="application/json">(.*?)</script>', html)
            assert chart
            drawn = sum(
                v or 0 for line in json.loads(chart[1])["series"] if line["label"] == "Requests" for v in line["data"]
            )
            assert drawn == totals["total_requests"]


def test_a_stranger_hears_nothing_and_nothing_of_others(
    server: Server, acme: Organization, globex: Organization, alice: User, charlie: User, send: Callable[..., None]
) -> None:
    send(acme, alice)
    send(globex, charlie)
    with (
        listening(server, logged_in(charlie), "/o/globex/overview/stream?range=today") as theirs,
        listening(server, logged_in(alice), PATH) as ours,
    ):
        until(lambda: tokens(theirs) == tokens(ours) == "1,100")
        send(acme, alice, 4)
        until(lambda: tokens(ours) == "5,500")
        send(globex, charlie)
        until(lambda: tokens(theirs) == "2,200")
        assert len(theirs.frames) == 2
        assert not any("alice" in line or "/o/acme" in line for line in theirs.lines)


def test_a_member_hears_of_their_own_only(
    server: Server, acme: Organization, alice: User, bob: User, send: Callable[..., None]
) -> None:
    send(acme, alice)
    send(acme, bob)
    other = membership_of(alice, acme).pk
    with (
        listening(server, logged_in(bob), f"{PATH}&member={other}") as own,
        listening(server, logged_in(alice), PATH) as all_of_them,
    ):
        until(lambda: tokens(own) == "1,100" and tokens(all_of_them) == "2,200")
        send(acme, alice, 5)
        until(lambda: tokens(all_of_them) == "7,700")
        send(acme, bob)
        until(lambda: tokens(own) == "2,200")
        # what others did was not even worth a word
        assert len(own.frames) == 2


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        (None, PATH, 401),
        ("charlie", PATH, 404),
        ("alice", "/o/nobody/overview/stream", 404),
        ("alice", "/o/acme/overview/stream?range=fortnight", 422),
        ("alice", "/o/acme/overview/stream?color=red", 422),
        ("vera", PATH, 200),
        ("alice", PATH, 200),
    ],
)
def test_who_gets_a_stream(
    server: Server, alice: User, charlie: User, vera: User, who: str | None, path: str, status: int
) -> None:
    people = {"alice": alice, "charlie": charlie, "vera": vera}
    with listening(server, logged_in(people[who]) if who else Client(), path) as heard:
        assert heard.status == status
        if status != 200:
            until(lambda: heard.has_ended)
            assert json.loads(heard.lines[0])["error"]["code"]
            assert "acme" not in heard.lines[0].lower()


def test_only_get_is_taken(server: Server, alice: User) -> None:
    refused = httpx.post(server.url + PATH)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET")


def test_a_forged_or_ended_session_opens_nothing(server: Server, alice: User) -> None:
    browser = logged_in(alice)
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME].value
    alice.set_password("another one entirely")
    alice.save()
    assert httpx.get(server.url + PATH, cookies={settings.SESSION_COOKIE_NAME: cookie}).status_code == 401
    assert httpx.get(server.url + PATH, cookies={settings.SESSION_COOKIE_NAME: "x" * 32}).status_code == 401


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks every moment at what is otherwise looked at within a minute."""
    monkeypatch.setattr(stream, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(stream, "CHECK_SECONDS", 0.2)


@pytest.mark.parametrize("how", ["logged out", "removed", "another role"])
def test_whoever_may_no_more_is_let_go(often: None, server: Server, acme: Organization, alice: User, how: str) -> None:
    person = make_member(acme, "mallory", Role.ADMIN)
    browser = logged_in(person)
    with listening(server, browser, PATH) as heard, listening(server, logged_in(alice), PATH) as other:
        until(lambda: ": still here" in heard.lines)
        assert not heard.has_ended
        if how == "logged out":
            browser.logout()
        else:
            with organization_scope(acme.pk):
                change: dict[str, Any] = {"ended_at": now()} if how == "removed" else {"role": Role.MEMBER}
                Membership.objects.filter(user=person).update(**change)
        until(lambda: heard.has_ended)
        assert not other.has_ended


def test_who_comes_back_with_the_newest_figures_is_not_told_them_again(
    often: None, server: Server, acme: Organization, alice: User, send: Callable[..., None]
) -> None:
    send(acme, alice)
    with listening(server, logged_in(alice), PATH) as first:
        until(lambda: bool(first.frames))
        last = next(line.removeprefix("id: ") for line in first.lines if line.startswith("id: "))
        with listening(server, logged_in(alice), PATH, **{"Last-Event-ID": last}) as again:
            until(lambda: ": still here" in again.lines)
            assert not again.frames
            send(acme, alice)
            until(lambda: tokens(again) == "2,200")


def test_viewers_of_the_same_share_one_reading(
    server: Server, acme: Organization, alice: User, send: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    monkeypatch.setattr(feeds, "read", lambda *given: read.append(given[0].watch) or READ(*given))
    adam = make_member(acme, "adam", Role.OWNER)
    send(acme, alice)
    with (
        listening(server, logged_in(alice), PATH) as one,
        listening(server, logged_in(adam), PATH) as two,
        listening(server, logged_in(alice), PATH) as three,
    ):
        until(lambda: all(tokens(heard) == "1,100" for heard in (one, two, three)))
        assert len(set(read)) == 1
        before = len(read)
        send(acme, alice)
        until(lambda: all(tokens(heard) == "2,200" for heard in (one, two, three)))
        # the event's hint, and at most one that was under way from before
        assert len(read) - before <= 2


READ = feeds.read


def test_a_person_has_so_many_streams_and_no_more(
    server: Server, acme: Organization, alice: User, vera: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST_STREAMS_OF_A_PERSON", 1)
    with listening(server, logged_in(alice), PATH) as first, listening(server, logged_in(alice), PATH) as second:
        assert (first.status, second.status) == (200, 429)
        with listening(server, logged_in(vera), PATH) as other:
            assert other.status == 200


def test_hints_that_are_lost_only_delay(
    server: Server, acme: Organization, alice: User, send: Callable[..., None]
) -> None:
    """Redis drops everybody: who listens comes back, and reads what was stored meanwhile."""
    with listening(server, logged_in(alice), PATH) as heard:
        until(lambda: bool(heard.frames) or heard.status == 200)
        for _ in range(2):
            client = Redis.from_url(settings.REDIS_URL)
            client.client_kill_filter(_type="pubsub")
            client.close()
            send(acme, alice)
        until(lambda: tokens(heard) == "2,200")


def test_a_redis_that_is_away_and_comes_back(
    transactional_db: None,
    acme: Organization,
    alice: User,
    send: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = program(PACKAGED)
    assert path is not None
    redis = RedisServer(path)
    monkeypatch.setattr(settings, "REDIS_URL", redis.url)
    monkeypatch.setattr(hints, "_announcer", hints.Announcer())
    monkeypatch.setattr(feeds, "PULSE_WITHOUT_HINTS_SECONDS", 0.5)
    redis.start()
    try:
        with serving() as server, listening(server, logged_in(alice), PATH) as heard:
            send(acme, alice)
            until(lambda: tokens(heard) == "1,100")
            redis.kill()
            send(acme, alice)
            until(lambda: tokens(heard) == "2,200")
            redis.start()
            # the pulse is slow again, and hints are what it moves by
            assert server.application.streams._feeds
            listener = server.application.streams._feeds._listener
            until(lambda: listener.is_hearing)
            send(acme, alice)
            until(lambda: tokens(heard) == "3,300")
    finally:
        redis.remove()


def test_a_stopping_server_lets_its_streams_go_and_the_next_one_shows_what_came_meanwhile(
    acme: Organization, alice: User, send: Callable[..., None], transactional_db: None
) -> None:
    send(acme, alice)
    browser = logged_in(alice)
    with serving() as first:
        with listening(first, browser, PATH) as heard:
            until(lambda: tokens(heard) == "1,100")
        port = first.port
    until(lambda: heard.has_ended)
    send(acme, alice)
    with serving(port) as second, listening(second, browser, PATH) as again:
        until(lambda: tokens(again) == "2,200")


def test_polling_tells_the_same(
    alice_client: Client, alice: User, acme: Organization, send: Callable[..., None], db: None
) -> None:
    send(acme, alice)
    page = alice_client.get("/o/acme/overview?range=today")
    assert page.context["page"]["live"] == {
        "stream_url": "/o/acme/overview/stream?range=today",
        "poll_url": "/o/acme/overview/live?range=today",
    }
    answer = alice_client.get("/o/acme/overview/live?range=today")
    assert ">1,100<" in answer.json()["html"]
    assert answer.json()["subtitle"] == page.context["page"]["subtitle"]
    assert "no-cache" in answer["Cache-Control"]
    assert alice_client.get("/o/acme/overview/live?range=fortnight").status_code == 422


def test_a_range_that_is_over_does_not_move(
    alice_client: Client, alice: User, acme: Organization, send: Callable[..., None], db: None
) -> None:
    send(acme, alice)
    assert alice_client.get("/o/acme/overview?range=yesterday").context["page"]["live"] is None
    assert "data-live=" not in alice_client.get("/o/acme/overview?range=yesterday").content.decode()
