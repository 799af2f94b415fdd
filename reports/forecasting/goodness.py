"""How good a forecast was on days that came since, beside the simplest one there is: for people."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import msgspec

from core import figures as words
from reports.forecasting.outlook import Hits, Measured

# What a range is meant to hold.
MEANT = Fraction(8, 10)
NAIVE = "The last week again"


class Contest(msgspec.Struct, frozen=True):
    """One measure of error, of the forecast and of the baseline; less is better."""

    name: str
    label: str
    hint: str
    own: float
    naive: float
    is_share: bool

    @property
    def winner(self) -> str:
        """ "own", "naive" or "even", by the exact figures, whatever they round to."""
        if self.own == self.naive:
            return "even"
        return "own" if self.own < self.naive else "naive"

    def text(self, value: float) -> str:
        return words.percent(Fraction(value)) if self.is_share else f"{value:.2f}"

    @property
    def own_text(self) -> str:
        return self.text(self.own)

    @property
    def naive_text(self) -> str:
        return self.text(self.naive)


_CONTESTS = (
    ("A day’s error", "times what a day usually differs from the same day a week before (MASE)", "mase", False),
    ("A day’s range", "misses at 10, 50 and 90%, as a share of what came (wQL)", "wql", True),
    ("A total’s range", "the same, of all days up to each", "total_wql", True),
    ("The whole total’s error", "median share by which the last day’s total was off", "total_error", True),
)


def contests(measured: Measured) -> list[Contest]:
    """Those that could be measured."""
    found = []
    for label, hint, name, is_share in _CONTESTS:
        own, naive = getattr(measured, name), getattr(measured, f"naive_{name}")
        if own is not None and naive is not None:
            found.append(Contest(name, label, hint, own, naive, is_share))
    return found


def goodness(measured: Measured) -> dict[str, Any]:
    """For templates/reports/_forecast_goodness.html."""
    found = contests(measured)
    lost = [one.label.lower() for one in found if one.winner == "naive"]
    return {
        "origins": measured.origins,
        "days": _hits(measured.coverage),
        "totals": _hits(measured.total_coverage),
        "contests": found,
        "baseline": NAIVE,
        "lost": lost,
        "sentence": _sentence(len(found), lost),
    }


def _hits(hits: Hits) -> dict[str, Any]:
    share = Fraction(hits.hits, hits.trials)
    return {"hits": hits.hits, "trials": hits.trials, "share": share, "is_short": share < MEANT}


def _sentence(number: int, lost: list[str]) -> str:
    """Never better than was measured."""
    if not number:
        return "There was nothing to measure it by."
    if not lost:
        return "It was at least as good as repeating the last week in everything that was measured."
    if len(lost) == number:
        return "Repeating the last week was better in everything that was measured: take this forecast with care."
    return f"Repeating the last week was better in {len(lost)} of {number}: {', '.join(lost)}."
