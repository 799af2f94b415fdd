from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from billing.tax.vat_numbers import NoRegister, Standing, Vies, normalized

AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("number", "country", "full"),
    [
        ("DE 136695976", "DE", "DE136695976"),
        ("136 695 976", "DE", "DE136695976"),
        ("EL 094259216", "GR", "EL094259216"),
        ("gb 980.7806.84", "GB", "GB980780684"),
    ],
)
def test_numbers_are_kept_in_one_form(number: str, country: str, full: str) -> None:
    assert normalized(number, country) == full


@pytest.mark.parametrize(
    ("number", "country"),
    [("DE136695975", "DE"), ("FR12", "FR"), ("DE136695976", "FR"), ("12-3456789", "US"), ("", "DE")],
)
def test_what_is_no_number_is_refused(number: str, country: str) -> None:
    with pytest.raises(ValueError):
        normalized(number, country)


class _Register(BaseHTTPRequestHandler):
    """Speaks as the Commission's interface does."""

    status = 200
    body: bytes = b"{}"
    asked: dict[str, str] = {}

    def do_POST(self) -> None:
        type(self).asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def register() -> Iterator[tuple[type[_Register], str]]:
    handler = type("Handler", (_Register,), {})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "standing"),
    [
        (200, {"valid": True, "name": "ACME GMBH", "requestIdentifier": "WAPI1"}, Standing.CONFIRMED),
        (200, {"valid": False, "name": "---"}, Standing.UNKNOWN_TO_REGISTER),
        (200, {"actionSucceed": False, "errorWrappers": [{"error": "MS_UNAVAILABLE"}]}, Standing.NOT_ASKED),
        (500, {"valid": True}, Standing.NOT_ASKED),
        (200, ["valid"], Standing.NOT_ASKED),
    ],
)
def test_what_the_register_says(
    register: tuple[type[_Register], str], status: int, body: object, standing: Standing
) -> None:
    handler, url = register
    handler.status, handler.body = status, json.dumps(body).encode()
    checked = Vies(url, "FR40303265045").check("DE136695976", AT)
    assert checked.standing is standing
    assert checked.name == ("ACME GMBH" if standing is Standing.CONFIRMED else "")
    assert handler.asked == {
        "countryCode": "DE",
        "vatNumber": "136695976",
        "requesterMemberStateCode": "FR",
        "requesterNumber": "40303265045",
    }


def test_a_register_that_is_away_confirms_nothing() -> None:
    assert Vies("http://127.0.0.1:9").check("DE136695976", AT).standing is Standing.NOT_ASKED
    assert NoRegister().check("DE136695976", AT).standing is Standing.NOT_ASKED


def test_british_numbers_are_not_in_it(register: tuple[type[_Register], str]) -> None:
    assert Vies(register[1]).check("GB980780684", AT).standing is Standing.NOT_ASKED
