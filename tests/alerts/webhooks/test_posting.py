"""One request to an address that somebody entered: where it may lead, and how long and large an answer may be."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from alerts.webhooks import posting
from alerts.webhooks.posting import Answer, Request, post_all
from tests.alerts.webhooks.receiver import Receiver, Said

BODY = '{"type":"webhook.test"}'
NOT_PUBLIC = "Its name leads to no address of the public Internet."


def post(url: str) -> Answer:
    [answer] = post_all([Request(url, {"webhook-id": "msg_1"}, BODY)])
    return answer


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "[::1]", "[::ffff:127.0.0.1]", "[fd00::1]", "[fe80::1]", "2130706433", "0x7f000001", "localhost",
    ],
)  # fmt: skip
def test_nothing_is_sent_inside(program: Receiver, settings: Settings, host: str) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = False
    answer = post(f"http://{host}:{program.server.server_port}/")
    assert (answer.status, program.got) == (None, [])
    assert answer.problem


def test_a_name_that_leads_inside_is_judged_when_it_is_resolved(
    program: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = False
    asked = []

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    answer = post(f"http://hooks.example.com:{program.server.server_port}/")
    assert (answer.problem, program.got) == (NOT_PUBLIC, [])
    # Once: what is judged is what is connected to.
    assert asked == ["hooks.example.com"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(program: Receiver, status: int) -> None:
    program.answers = [Said(status, {"Location": f"{program.url}/inside"})]
    answer = post(program.url)
    assert [got.path for got in program.got] == ["/hooks"]
    assert answer.status == status
    assert "Redirects are not followed" in answer.problem


def test_an_address_is_sent_to_as_it_was_entered(program: Receiver) -> None:
    post(f"{program.url}/a%20b/?token=x%2By&b=")
    assert program.got[0].path == "/hooks/a%20b/?token=x%2By&b="
    assert program.got[0].body == BODY


def test_of_a_large_answer_the_beginning_is_kept(program: Receiver) -> None:
    headers = {f"X-{number}": "v" * 1000 for number in range(60)}
    program.answers = [Said(200, headers, b"\0\xff" + b"a" * 100_000)]
    answer = post(program.url)
    assert (answer.status, answer.problem) == (200, "")
    assert answer.body.startswith("��a")
    assert len(answer.body) == posting.MOST_BODY_BYTES
    assert len(answer.headers) == posting.MOST_HEADERS
    assert max(len(value) for value in answer.headers.values()) == posting.LONGEST_HEADER


def test_an_answer_without_end_was_an_answer(program: Receiver) -> None:
    program.answers = [Said(200, body=b"x", drips=True)]
    answer = post(program.url)
    assert (answer.status, answer.problem, len(answer.body)) == (200, "", posting.MOST_BODY_BYTES)


def test_half_an_answer_was_one(program: Receiver) -> None:
    program.answers = [Said(200, body=b"half", missing=5)]
    answer = post(program.url)
    assert (answer.status, answer.problem, answer.body) == (200, "", "half")


def test_who_does_not_answer_is_not_waited_for(program: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "ANSWER_SECONDS", 0.1)
    program.answers = [Said(waits=1)]
    answer = post(program.url)
    assert (answer.status, answer.problem) == (None, "It did not answer within 0 seconds.")


def test_what_is_not_there(settings: Settings) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert post(f"http://127.0.0.1:{closed.getsockname()[1]}/").problem == "It cannot be connected to."
    assert post("http://no-such-name.invalid/").problem == "Its name is not known."


def test_plain_bytes_where_http_should_be(program: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        import threading

        def answer_nonsense() -> None:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(b"+PONG\r\n")
            connection.close()

        thread = threading.Thread(target=answer_nonsense)
        thread.start()
        answer = post(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()
    assert answer.status is None
    assert answer.problem.startswith("It broke off")
