"""The guide has the catalogue as it is in the code, and the library it names takes what it shows."""

from __future__ import annotations

import runpy
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/webhook_catalogue.py"


def test_the_catalogue_is_the_code_s() -> None:
    written = runpy.run_path(str(SCRIPT))
    assert written["GUIDE"].read_text() == written["text"](), "run `uv run scripts/webhook_catalogue.py`"
