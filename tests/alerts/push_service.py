"""A push service on this machine and a browser subscribed to it: both check and decrypt what arrives."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02


def text_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims_of(authorization: str) -> dict[str, Any]:
    """The signed claims of a VAPID header, its signature aside."""
    payload = authorization.partition("t=")[2].split(",")[0].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=="))  # type: ignore[no-any-return]


class PushService:
    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self._secret = os.urandom(16)
        self.received: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        # What to answer with, the last for good: status and headers.
        self.answers: list[tuple[int, dict[str, str]]] = [(201, {})]
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.take({name.lower(): value for name, value in self.headers.items()}, body)
                status, headers = service.answers[0] if len(service.answers) == 1 else service.answers.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, headers: dict[str, str], body: bytes) -> None:
        assert Vapid02.verify(headers["authorization"]), "the signature is not that of the key beside it"
        text = http_ece.decrypt(body, private_key=self._private, auth_secret=self._secret, version="aes128gcm")
        self.headers.append(headers)
        self.received.append(json.loads(text))

    def subscription(self, name: str = "phone") -> dict[str, Any]:
        """As `PushSubscription.toJSON()` has it."""
        public = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": text_of(public), "auth": text_of(self._secret)}
        return {"endpoint": f"{self.origin}/wpush/{name}?token=a/b%2Bc", "expirationTime": None, "keys": keys}


@contextmanager
def push_service() -> Iterator[PushService]:
    service = PushService()
    thread = threading.Thread(target=service.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield service
    service.server.shutdown()
    service.server.server_close()
    thread.join()
