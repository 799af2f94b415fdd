"""What the pages of a comparison show: each target's saving, the chart, the models, GPUs, and the file of it all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from core import figures as words
from core.csvcells import csv_text
from core.money import NANOS_PER_USD, nanos_from_femtos, usd_text
from metering.query.comparison import Comparison, Current, Replay, Target
from metering.query.gpus import Gpus
from reports.stacks import MOST_VALUES, name_of, slot_of

# Rows are read to the twenty-fifth model; the file has all of them.
MOST_LISTED = 25
GPUS = "GPUs"
LEFT_OUT = "Left out, at its cost now"
COLUMNS = (
    "model", "provider", "target", "calls", "cost_usd", "would_cost_usd", "saved_usd", "newly_priced_calls",
    "newly_priced_usd", "left_out_calls", "left_out_usd", "other_tier_calls",
)  # fmt: skip


def figures_context(
    found: Comparison, gpus: Gpus, elapsed: Fraction, csv_url: str, url_of: Callable[[str | None], str]
) -> dict[str, Any]:
    """What templates/reports/_comparison_figures.html needs, beside `choice`. `elapsed` are the hours of the range so
    far, `url_of` is where a model leads by its key."""
    return {
        "cards": [_card(target, replay) for target, replay in zip(found.targets, found.replays, strict=True)],
        "gpu": _gpu(gpus, found, elapsed),
        "chart": _chart(found, csv_url) if found.targets else None,
        "targets": [target.label for target in found.targets],
        "rows": [_row(one, url_of(one.model.key)) for one in found.models[:MOST_LISTED]],
        "rest": len(found.models[MOST_LISTED:]),
        "totals": {"cost": found.totals.cost_nanos, "replays": [_cell(replay) for replay in found.replays]},
        "csv_url": csv_url,
    }


def _card(target: Target, replay: Replay) -> dict[str, Any]:
    return _cell(replay) | {
        "label": target.key,
        "valid_from": target.version.valid_from,
        "source": target.version.source,
        "is_own": target.version.organization_id is not None,
        "left_out": _left_out(replay),
        "left_out_nanos": replay.left_out_nanos,
        "new_calls": replay.new_calls,
        "new_nanos": replay.new_nanos,
        "other_tier_calls": replay.other_tier_calls,
    }


def _gpu(gpus: Gpus, found: Comparison, elapsed: Fraction) -> dict[str, Any] | None:
    """Paid for by the busy hour, and rented all the time: as many sets of GPUs as the busy hours need."""
    replay = found.gpu
    if replay is None:
        return None
    busy = gpus.busy_hours(*found.gpu_tokens)
    sets = max(1, math.ceil(busy / elapsed))
    rented = nanos_from_femtos(gpus.cost_femtos(elapsed * sets))
    saved = replay.now_nanos - rented
    return {
        "busy": _cell(replay),
        "busy_hours": _hours(busy),
        "elapsed_hours": _hours(elapsed),
        "utilization": busy / (elapsed * sets),
        "sets": sets,
        "rented_gpus": sets * gpus.gpus,
        "rented": None if replay.cost_nanos is None else rented,
        "rented_saved": None if replay.cost_nanos is None else saved,
        "rented_more": -saved,
        "rented_share": Fraction(abs(saved), replay.now_nanos) if replay.now_nanos else None,
        "left_out": _left_out(replay),
    }


def _left_out(replay: Replay) -> list[str]:
    """Each reason with its calls; the kinds of tokens as people write them."""
    return [
        f"{words.count(calls)} call{'s' if calls != 1 else ''}: {reason.replace('_', ' ')}"
        for reason, calls in replay.left_out.items()
    ]


def _hours(hours: Fraction) -> str:
    """To two decimals: 1,234.50 h."""
    return f"{round(hours * 100) / 100:,.2f} h"


def _cell(replay: Replay) -> dict[str, Any]:
    saved = replay.saved_nanos
    return {
        "now": replay.now_nanos,
        "cost": replay.cost_nanos,
        "saved": None if saved is None else abs(saved),
        "is_saving": saved is not None and saved >= 0,
        "share": None if replay.saved_share is None else abs(replay.saved_share),
        "calls": replay.calls,
        "left_out_calls": replay.left_out_calls,
        "new_calls": replay.new_calls,
    }


def _row(one: Current, url: str) -> dict[str, Any]:
    return {
        "label": name_of(one.model, "model"),
        "provider": one.provider.label,
        "slot": slot_of(one.model) if one.figures.is_cost_known else "unpriced",
        "url": url,
        "cost": one.figures.cost_nanos,
        "is_cost_known": one.figures.is_cost_known,
        "replays": [_cell(replay) for replay in one.replays],
    }


def _chart(found: Comparison, csv_url: str) -> dict[str, Any]:
    """One bar for now and one a target, of the models that are used now."""
    named = found.models[:MOST_VALUES]
    others = found.models[MOST_VALUES:]
    labels = ["Now", *(target.label for target in found.targets)]
    parts: list[tuple[str, int | str, list[int | None]]] = [
        (
            name_of(one.model, "model"),
            slot_of(one.model) if one.figures.is_cost_known else "unpriced",
            _costs(one),
        )
        for one in named
    ]
    if others:
        parts.append(("Others", "other", [_known_sum(column) for column in zip(*map(_costs, others), strict=True)]))
    left_out = [replay.left_out_nanos for replay in found.replays]
    if any(left_out):
        # Without it a target that prices less of the usage would look the cheaper one.
        parts.append((LEFT_OUT, "unpriced", [None, *(nanos or None for nanos in left_out)]))
    texts = [
        words.money(found.totals.cost_nanos),
        *(
            words.money(replay.cost_nanos) + (f" without calls of {words.money(nanos)}" if nanos else "")
            for replay, nanos in zip(found.replays, left_out, strict=True)
        ),
    ]
    return {
        "id": "comparison-chart",
        "title": "Cost of this usage",
        "description": "; ".join(f"{label} {text}" for label, text in zip(labels, texts, strict=True)),
        "measure": {"options": [], "types": []},
        "csv_url": csv_url,
        "json": {
            "kind": "stack",
            "unit": "usd",
            "measure": "Cost",
            "zoom": False,
            "labels": labels,
            "titles": ["Now", *(f"At the price of {target.key}" for target in found.targets)],
            "totals": texts,
            "series": [
                {
                    "label": label,
                    "slot": slot,
                    "data": [None if value is None else value / NANOS_PER_USD for value in values],
                    "texts": [words.money(value) for value in values],
                }
                for label, slot, values in parts
            ],
        },
        "table": {
            "columns": ["Price", *(label for label, _, _ in parts), "Total"],
            "rows": [
                {"label": label, "cells": [*(words.money(values[at]) for _, _, values in parts), texts[at]]}
                for at, label in enumerate(labels)
            ],
        },
    }


def _costs(one: Current) -> list[int | None]:
    """Now and at each target's price."""
    return [one.figures.cost_nanos, *(replay.cost_nanos for replay in one.replays)]


def _known_sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def file_text(found: Comparison) -> str:
    """Every model at every target's price, and all of them; exact."""
    rows: list[Sequence[Any]] = [COLUMNS]
    for one in found.models:
        about = (one.model.key, one.provider.key)
        rows += [_line(about, t.key, r) for t, r in zip(found.targets, one.replays, strict=True)]
    rows += [_line(("", ""), t.key, r) for t, r in zip(found.targets, found.replays, strict=True)]
    if found.gpu is not None:
        rows.append(_line(("", ""), GPUS, found.gpu))
    return csv_text(rows)


def _line(about: tuple[str | None, str | None], target: str, replay: Replay) -> Sequence[Any]:
    money = map(usd_text, (replay.now_nanos, replay.cost_nanos, replay.saved_nanos))
    return (
        *about, target, replay.calls, *money, replay.new_calls, usd_text(replay.new_nanos),
        replay.left_out_calls, usd_text(replay.left_out_nanos), replay.other_tier_calls,
    )  # fmt: skip
