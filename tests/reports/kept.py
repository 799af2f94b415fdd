"""Figures as a kept comparison has them, of models nobody called, at a price that is gone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from metering.query.comparison import Current, Replay
from metering.query.labels import NONE, GroupValue
from metering.query.metrics import Figures
from reports.comparison_records import Kept, KeptPrice


def kept_figures(models: int = 1) -> dict[str, Any]:
    """Of so many models, compared with one."""
    price = KeptPrice(
        2**31 - 1, None, "list", "openai", "gone", dt.datetime(2020, 1, 1, tzinfo=dt.UTC), None, False, "test"
    )  # fmt: skip
    replay = Replay(1, 0, 5, 10**20)
    used = Figures(requests=1, input=10, known_cost_nanos=5)
    rows = [Current(GroupValue(n, f"m{n}", f"m{n}", 1), NONE, used, (replay,)) for n in range(1, models + 1)]
    totals = sum((row.figures for row in rows), Figures())
    figures: dict[str, Any] = msgspec.to_builtins(Kept((price,), tuple(rows), totals, (replay,), None, (0, 0), True))
    return figures
