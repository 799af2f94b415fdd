"""docs/guides/tour.md against the running demo: everything it leads to is there, for whom it says."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from tests.browser.conftest import PEOPLE

TOUR = Path(__file__).resolve().parents[2] / "docs" / "guides" / "tour.md"
STOPS = [
    (row, who, address)
    for row, who, address in re.findall(r"^\| (\w+) \| (\w+) \|.*\| `(/[^`]*)` \|$", TOUR.read_text(), re.MULTILINE)
]
MONEY = {"E1", "E5", "E6", "E7", "F1", "F2", "F3", "F4", "F5", "F6", "F7"}
AHEAD = {"H1", "H2", "H3", "H4", "H5", "H6", "H7"}
TOLD = {"D7", "G1", "G2", "G3", "G4", "G5", "G6"}
PROMISED = (
    {*(f"C{n}" for n in range(1, 20)), *(f"B{n}" for n in range(6, 12)), "A8", "A9", "A10", "D5", "I7"}
    | MONEY
    | TOLD
    | AHEAD
)


def test_no_promise_is_left_out() -> None:
    assert {row for row, _, _ in STOPS} == PROMISED


@pytest.mark.parametrize(("row", "who", "address"), STOPS, ids=[f"{row} {address}" for row, _, address in STOPS])
def test_stop(row: str, who: str, address: str, people: dict[str, httpx.Client]) -> None:
    person = next(email for email in PEOPLE if email.startswith(f"{who}@"))
    answer = people[person].get(address)
    assert answer.status_code == 200
    assert "</html>" in answer.text
