"""An endpoint that hears webhooks and checks their signatures as Stripe's library does."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import stripe


class Ears:
    secret = "whsec_test"

    def __init__(self) -> None:
        self.heard: list[stripe.Event] = []
        # Answers for the next deliveries, then 200.
        self.answers: list[int] = []
        ears = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = self.rfile.read(int(self.headers["Content-Length"]))
                status = ears.answers.pop(0) if ears.answers else 200
                if status == 200:
                    event = stripe.Webhook.construct_event(payload, self.headers["Stripe-Signature"], ears.secret)
                    ears.heard.append(event)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def wait_for(self, type: str, seconds: float = 10) -> stripe.Event:  # noqa: A002
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for event in self.heard:
                if event.type == type:
                    return event
            time.sleep(0.02)
        raise AssertionError(f"{type} was not heard; only {[event.type for event in self.heard]}")
