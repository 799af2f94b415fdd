"""How often the database is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Counter:
    """For `connection.execute_wrapper`: cheaper than Django's log of queries, which keeps their text."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, execute: Callable[..., Any], *asked: Any) -> Any:
        self.number += 1
        return execute(*asked)
