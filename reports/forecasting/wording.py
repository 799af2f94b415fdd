"""What a forecast rests on, in words for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reports.forecasting.course import Floats
from reports.forecasting.outlook import Measured

# The last so many days without usage are told; and that one day in ten had more than half of everything.
_SILENT, _BURST = 14, 0.5
_YEARS = 2 * 364


def method_of(rules: Sequence[str], weights: Floats) -> str:
    """The blend, by those that have most to say about the likely figure. `weights` are (rules, 3)."""
    shares = weights[:, 1]
    most = np.argsort(-shares, kind="stable")[:3]
    named = [f"{rules[at]} ({shares[at]:.0%})" for at in most.tolist() if shares[at] >= 0.1]
    return f"A blend of {len(rules)} simple rules, weighted by how wrong each was: {'; '.join(named) or 'all alike'}."


def basis_of(history: Floats, measured: Measured | None) -> str:
    """History from the first usage on, and what is remarkable about it."""
    told = [f"From {len(history)} days of usage."]
    zeros = int((history == 0).sum())
    if not history[-_SILENT:].any():
        silent = len(history) - int(np.nonzero(history)[0].max()) - 1
        told.append(f"Nothing was used in the last {silent} days.")
    elif zeros * 2 > len(history):
        told.append(f"{zeros} of them had none: the totals say more than single days.")
    elif np.sort(history)[-max(len(history) // 10, 1) :].sum() > _BURST * history.sum():
        told.append("A tenth of the days had more than half of it: expect bursts.")
    if len(history) < _YEARS:
        told.append("Weekdays are told apart; seasons of the year are not, which takes two years.")
    else:
        told.append("Weekdays and seasons of the year are told apart.")
    if measured is None:
        told.append("Too little history to have tried it: nobody knows yet how good the ranges are.")
    return " ".join(told)
