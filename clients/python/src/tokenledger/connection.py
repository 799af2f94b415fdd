"""HTTP to the server: one pool of connections per process, answers as objects, refusals as errors."""

from __future__ import annotations

import encodings.idna  # noqa: F401 (sockets import it at their first connection; see Connection on forks)
import gzip
import json
import threading
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Optional

import httpx

from tokenledger.backoff import delay, retry_after
from tokenledger.errors import AnswerTimeout, ApiError, ClosedError, ConnectionFailed, Unavailable, refusal
from tokenledger.version import VERSION

Params = Sequence[tuple[str, str]]

# Smaller bodies fit into a few packets as they are.
GZIP_FROM_BYTES = 32 * 1024
RETRIES = 2
# A caller waits for the answer: what takes longer than this is the caller's to decide.
LONGEST_WAIT_SECONDS = 5.0


class Answer(NamedTuple):
    """What came back. `body` is the decoded object, None where a refusal has none that is JSON."""

    status: int
    body: Any
    request_id: Optional[str]
    retry_after: Optional[float]

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def refusal(self) -> ApiError:
        return refusal(self.status, self.body, request_id=self.request_id, retry_after=self.retry_after)


class Connection:
    def __init__(self, base_url: str, api_key: str, timeout: float) -> None:
        self.base_url = base_url
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Accept": "application/json",
            "User-Agent": f"tokenledger-python/{VERSION}",
        }
        self._timeout = timeout
        self._lock = threading.Lock()
        self._is_closed = False
        # Made here and not by a thread: a fork in the middle of it would leave the child with half-imported modules.
        # Reading the certificates is what takes long; forks share what was read.
        self._tls = httpx.create_ssl_context()
        self._http: Optional[httpx.Client] = self._open()

    def after_fork(self) -> None:
        """Sockets are the parent's: the child opens its own."""
        self._lock = threading.Lock()
        self._http = None

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            if self._http is not None:
                self._http.close()

    def get(self, path: str, params: Params = ()) -> Any:
        return self.ask("GET", path, params=params)

    def ask(self, method: str, path: str, *, params: Params = (), body: Optional[Mapping[str, Any]] = None) -> Any:
        """The answer's object. Asks again, a few times, where nobody answered or the server is away.

        That is safe, because whatever writes carries an id. Raises ConnectionFailed, ApiError or ClosedError.
        """
        content = None if body is None else encode(body)
        attempt = 0
        while True:
            try:
                answer = self.send(method, path, params=params, content=content)
                if answer.is_success:
                    return answer.body
                raise answer.refusal()
            except (ConnectionFailed, Unavailable) as error:
                wait = delay(attempt, getattr(error, "retry_after", None))
                attempt += 1
                if attempt > RETRIES or wait > LONGEST_WAIT_SECONDS:
                    raise
            time.sleep(wait)

    def send(self, method: str, path: str, *, params: Params = (), content: Optional[bytes] = None) -> Answer:
        """One request, whatever is answered. Raises ConnectionFailed for no answer, or a success without JSON."""
        headers = {}
        if content is not None:
            headers["Content-Type"] = "application/json"
            if len(content) >= GZIP_FROM_BYTES:
                content = gzip.compress(content, compresslevel=1)
                headers["Content-Encoding"] = "gzip"
        try:
            response = self._client().request(
                method, path, params=httpx.QueryParams(tuple(params)), content=content, headers=headers
            )
        except httpx.TimeoutException as error:
            raise AnswerTimeout(f"{method} {path}: no answer in {self._timeout:g} s.") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise ConnectionFailed(f"{method} {path}: {type(error).__name__}: {error}") from error
        except RuntimeError as error:
            # httpx says so of a client that was closed between being looked up and being used.
            if self._is_closed:
                raise ClosedError("This client is closed.") from error
            raise
        return _read(response)

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._is_closed:
                raise ClosedError("This client is closed.")
            if self._http is None:
                self._http = self._open()
            return self._http

    def _open(self) -> httpx.Client:
        return httpx.Client(base_url=self.base_url, headers=self._headers, timeout=self._timeout, verify=self._tls)


def _read(response: httpx.Response) -> Answer:
    body = None
    try:
        body = json.loads(response.content)
    except ValueError as error:
        if response.is_success:
            # A proxy's page or half an answer: nothing was acknowledged.
            raise ConnectionFailed(f"{response.request.url}: the answer is not JSON.") from error
    asked = retry_after(response.headers)
    return Answer(response.status_code, body, response.headers.get("x-request-id"), asked)


def encode(value: Mapping[str, Any]) -> bytes:
    """JSON; money stays exact. Raises TypeError or ValueError for what JSON cannot hold."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
