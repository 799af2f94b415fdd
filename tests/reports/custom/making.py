"""A maker for tests: it writes what it is asked to, and fails as it is asked to."""

from __future__ import annotations

from collections.abc import Iterator

from reports.custom.course import Making
from reports.custom.results import UnmakeableError, Wanted
from reports.models import Result

ENDED: list[tuple[int, str]] = []
# Called before the second half is made.
MEANWHILE: list[object] = []


def wanted(content: str = "model,cost\ngpt-4o,1\n", *, title: str = "Cost by model", **asked: object) -> Wanted:
    return Wanted(
        maker="test",
        title=title,
        file_name="acme-cost.csv",
        content_type="text/csv; charset=utf-8",
        asked={"content": content, **asked},
    )


def make(making: Making) -> Iterator[bytes]:
    asked = making.result.asked
    content = asked["content"].encode()
    half = len(content) // 2
    yield content[:half]
    making.advance(1, 2)
    for act in MEANWHILE:
        act()  # type: ignore[operator]
    if asked.get("unmakeable"):
        raise UnmakeableError(str(asked["unmakeable"]))
    if asked.get("broken"):
        raise RuntimeError("a mistake of ours")
    yield content[half:]
    making.advance(1)


def ended(result: Result) -> None:
    ENDED.append((result.pk, result.state))
