from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.custom import MAKERS
from tests.reports.custom import making


@pytest.fixture(autouse=True)
def disk(tmp_path: Path, settings: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Files of a test go where nobody else's are; there is a maker that does as it is told."""
    settings.DATA_DIR = tmp_path  # type: ignore[attr-defined]
    monkeypatch.setitem(MAKERS, "test", "tests.reports.custom.making")
    yield tmp_path / "results"
    making.ENDED.clear()
    making.MEANWHILE.clear()
