"""The one way a usage object is refused."""

from __future__ import annotations


class UsageError(ValueError):
    """A usage object that cannot be counted; a door turns it into an `invalid` result.

    `code` is one of `invalid_usage` (a value of the wrong kind), `negative_tokens`, `too_large`
    and `unrecognized_usage` (no known provider's shape). `param` is the path of the value,
    such as `usage.prompt_tokens_details.cached_tokens`.
    """

    def __init__(self, code: str, message: str, param: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
