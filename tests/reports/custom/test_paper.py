"""What a page of a PDF has room for, and that laying it out is heard of."""

from __future__ import annotations

import io
from typing import Any

import pypdf
import pytest

from reports.custom import paper
from reports.custom.paper import UPRIGHT, WIDE, parted

NAME = {"text": "northbound research assistant, second edition", "is_figure": False}
FIGURES = [{"text": text, "is_figure": True} for text in ("$123,456.78", "$123,456.78", "−$123,456.78 (−1,112.4%)")]
HEADS = [{"label": label, "is_figure": True} for label in ("Cost of completion tokens", "Before", "Change")]


def table(names: int, metrics: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return [{"label": "Model", "is_figure": False}] * names + HEADS * metrics, [NAME] * names + FIGURES * metrics


def test_few_columns_stand_upright_in_one_table() -> None:
    heads, row = table(1, 1)
    sheet, (part,) = parted(heads, 1, [row], row[1:], 3)
    assert sheet is UPRIGHT
    assert part.columns == (0, 1, 2, 3)


@pytest.mark.parametrize(("names", "metrics"), [(1, 3), (1, 12), (3, 7), (7, 20)])
def test_what_does_not_fit_is_in_a_further_table(names: int, metrics: int) -> None:
    heads, row = table(names, metrics)
    sheet, parts = parted(heads, names, [row], row[names:], 3)
    assert sheet is WIDE
    assert len(parts) > 1
    for part in parts:
        assert part.columns[:names] == tuple(range(names))
        assert sum(part.widths) <= sheet.width
    # Each figure once, what was before and the change beside their metric.
    told = [at for part in parts for at in part.columns[names:]]
    assert told == list(range(names, len(heads)))
    assert all(len(part.columns[names:]) % 3 == 0 for part in parts)


def test_nothing_is_cut_at_the_edge_and_layout_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper, "BEAT_SECONDS", 0.02)
    heads, row = table(2, 3)
    sheet, parts = parted(heads, 2, [row], row[2:], 3)
    printed = {
        "title": "Costs", "organization": "Acme", "names": 2, "is_wide": sheet is WIDE, "rows": 1, "is_cut": False,
        "parts": [
            {
                "headings": [heads[at] for at in part.columns],
                "widths": [f"{100 * width / sum(part.widths):.2f}" for width in part.widths],
                "rows": [[row[at] for at in part.columns]],
                "totals": [row[at] for at in part.columns if at > 1],
            }
            for part in parts
        ],
    }  # fmt: skip
    beats: list[None] = []
    (page,) = pypdf.PdfReader(io.BytesIO(paper.laid_out(printed, lambda: beats.append(None)))).pages
    assert beats
    text = page.extract_text()
    # In one piece each: the widths were enough, and nothing was broken to fit.
    assert text.count("−$123,456.78 (−1,112.4%)") == 2 * 3


def test_who_takes_it_away_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper, "BEAT_SECONDS", 0)

    def taken() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        paper.laid_out({"parts": []}, taken)
