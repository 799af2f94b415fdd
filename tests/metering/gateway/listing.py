"""A server on this machine that answers every GET as a test says: what stands where a provider's model list would."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Listing:
    status: int = 200
    body: bytes = b'{"object": "list", "data": [{"id": "gpt-4o"}, {"id": "gpt-4o-mini"}, {"id": "o3"}]}'
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    hangs_up: bool = False
    url: str = ""
    # Path and headers (by lower-case name) of what was asked.
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def serving(listing: Listing) -> Iterator[Listing]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            listing.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            time.sleep(listing.delay_seconds)
            if listing.hangs_up:
                return
            self.send_response(listing.status)
            for name, value in {"content-type": "application/json", **listing.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(listing.body)))
            self.end_headers()
            # Who has read enough hangs up.
            with suppress(ConnectionError):
                self.wfile.write(listing.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listing.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield listing
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
