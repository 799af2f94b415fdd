"""Everything that can go wrong, as one tree.

TokenledgerError
├── ConfigurationError        no address or no key: neither given nor in the environment
├── ClosedError               the client was used after close()
├── ConnectionFailed          no answer: refused, broken off, or not understood
│   └── AnswerTimeout         none in time
├── ApiError                  the server answered, and refused; has status, code, param, request_id
│   ├── InvalidRequest        400, 405, 413, 415, 422 and whatever else has no class of its own
│   ├── Unauthorized          401: no working key
│   ├── CreditsSpent          402
│   ├── Forbidden             403: the key lacks a scope
│   ├── NotFound              404: unknown, or not yours
│   ├── Conflict              409: contradicts what is stored
│   ├── LimitReached          429: has retry_after
│   └── Unavailable           5xx: has retry_after
└── Undelivered               what `on_error` is told about a tracked event
    ├── QueueFull             there was no room for it
    ├── EventRefused          the server will never take it; has code, param, request_id
    └── NotSent               the client was closed, or its time to close ran out, before it was acknowledged
"""

from __future__ import annotations

from typing import Any, Optional


class TokenledgerError(Exception):
    """The root of all of them."""


class ConfigurationError(TokenledgerError):
    """No address or no key: neither given nor in the environment."""


class ClosedError(TokenledgerError):
    """The client was used after close()."""


class ConnectionFailed(TokenledgerError):
    """No answer, or none that the server can have meant: sending again with the same ids is safe."""


class AnswerTimeout(ConnectionFailed):
    """No answer in time."""


class ApiError(TokenledgerError):
    """The server refused. `code` is for programs, `param` names the culprit, `request_id` is what to tell an operator.

    `retry_after` is in seconds, None where the server did not say.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: Optional[str] = None,
        request_id: Optional[str] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        told = f" (request {request_id})" if request_id else ""
        super().__init__(f"{status} {code}: {message}{told}")
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.request_id = request_id
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), str(self), self.__dict__)


class InvalidRequest(ApiError):
    """The request is malformed, too large, or understood and wrong."""


class Unauthorized(ApiError):
    """There is no such key, or it was revoked."""


class CreditsSpent(ApiError):
    """The organization's credits do not suffice."""


class Forbidden(ApiError):
    """The key lacks a scope, or reads another project."""


class NotFound(ApiError):
    """Unknown, or not yours."""


class Conflict(ApiError):
    """Contradicts what is stored."""


class LimitReached(ApiError):
    """A limit holds. Where `retry_after` is set, it says when there is room again."""


class Unavailable(ApiError):
    """The server cannot do it now; nothing was stored."""


class Undelivered(TokenledgerError):
    """Why a tracked event did not arrive."""


class QueueFull(Undelivered):
    """There was no room in the queue."""


class EventRefused(Undelivered):
    """The server refused this very event, and would again."""

    def __init__(
        self, code: str, message: str, *, param: Optional[str] = None, request_id: Optional[str] = None
    ) -> None:
        told = f" (request {request_id})" if request_id else ""
        super().__init__(f"{code}: {message}{told}")
        self.code = code
        self.message = message
        self.param = param
        self.request_id = request_id

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), str(self), self.__dict__)


class NotSent(Undelivered):
    """The client was closed before the server acknowledged it. It may have arrived; its id makes sending it safe."""


def _remade(kind: type[TokenledgerError], text: str, state: dict[str, Any]) -> TokenledgerError:
    """An error that went through pickle, as between the processes of a pool."""
    error = kind.__new__(kind, text)
    error.__dict__.update(state)
    return error


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    402: CreditsSpent,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: LimitReached,
}


def refusal(
    status: int, body: Any, *, request_id: Optional[str] = None, retry_after: Optional[float] = None
) -> ApiError:
    """The error for an answer, whether or not its body has the contract's shape."""
    told = body.get("error") if isinstance(body, dict) else None
    error = told if isinstance(told, dict) else {}
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else InvalidRequest)
    return kind(
        status,
        str(error.get("code") or "unexpected_answer"),
        str(error.get("message") or "The answer does not say why."),
        param=error.get("param"),
        request_id=error.get("request_id") or request_id,
        retry_after=retry_after,
    )
