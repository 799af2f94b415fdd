"""How good a forecast was on days that came since, beside the simplest one there is: for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import msgspec

from core import figures as words
from reports.forecasting.horizons import Horizon
from reports.forecasting.outlook import Hits, Measured

NAIVE = "Last week"


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
    ("The range of a total", "the same, of what several days came to together", "total_wql", True),
    ("The total of 31 days", "how far off the likely figure was, half of the times", "total_error", True),
)


def contests(measured: Measured) -> list[Contest]:
    """Those that could be measured."""
    found = []
    for label, hint, name, is_share in _CONTESTS:
        own, naive = getattr(measured, name), getattr(measured, f"naive_{name}")
        if own is not None and naive is not None:
            found.append(Contest(name, label, hint, own, naive, is_share))
    return found


def goodness(measured: Measured, horizons: Sequence[Horizon], shown: Iterable[int]) -> dict[str, Any]:
    """For templates/reports/_forecast_goodness.html. `shown` are the distances, in days, that are told apart."""
    found = contests(measured)
    lost = [one.label.lower() for one in found if one.winner == "naive"]
    return {
        "origins": measured.origins,
        "days": _hits(measured.coverage),
        "totals": _hits(measured.total_coverage),
        "distances": [_distance(number, horizons[number - 1]) for number in sorted(shown) if number <= len(horizons)],
        "contests": found,
        "baseline": NAIVE,
        "lost": lost,
        "sentence": _sentence(len(found), lost),
    }


def _hits(hits: Hits) -> dict[str, Any]:
    return {"hits": hits.hits, "trials": hits.trials, "share": Fraction(hits.hits, hits.trials)}


def _distance(number: int, of: Horizon) -> dict[str, Any]:
    return {
        "days": number,
        "trials": of.trials,
        "held": [_beside(of.days, of.naive_days, of.trials), _beside(of.totals, of.naive_totals, of.trials)],
        "error": None if of.error is None else off(of.error),
        "naive_error": None if of.naive_error is None else off(of.naive_error),
    }


def _beside(own: int, naive: int, trials: int) -> dict[str, Any]:
    return {"hits": own, "share": Fraction(own, trials), "naive": naive}


def held_words(number: int, horizons: Sequence[Horizon]) -> str:
    """How often the range of a total of so many days held what came, beside the baseline's."""
    if not 0 < number <= len(horizons):
        return "How often such a range held is not known yet."
    of = horizons[number - 1]
    days = "one day" if number == 1 else f"{number} days"
    return (
        f"Such a range held {words.count(of.totals)} of {words.count(of.trials)} totals of {days}; "
        f"repeating the last week, {words.count(of.naive_totals)}."
    )


def error_words(number: int, horizons: Sequence[Horizon]) -> str:
    """How far off totals of so many days were, beside repeating the last week; never better than was measured."""
    of = horizons[number - 1] if 0 < number <= len(horizons) else None
    if of is None or of.error is None:
        return "How wrong it may be is not known yet: more history is needed."
    days = "one day" if number == 1 else f"{number} days"
    told = f"Totals of {days} were off by {off(of.error)} before"
    if of.naive_error is not None and of.naive_error < of.error:
        return f"{told}; repeating the last week, by {off(of.naive_error)}."
    return f"{told}."


def off(error: float) -> str:
    share = Fraction(error)
    return words.percent(share) if share >= Fraction(1, 1000) else "less than 0.1%"


def _sentence(number: int, lost: list[str]) -> str:
    """Never better than was measured."""
    if not number:
        return "There was nothing to measure it by."
    if not lost:
        return "It was at least as good as repeating the last week in everything that was measured."
    if len(lost) == number:
        return "Repeating the last week was better in everything that was measured: take this forecast with care."
    return f"Repeating the last week was better in {len(lost)} of {number}: {', '.join(lost)}."
