"""The README's examples do what they say, from the first to the last."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Organization, Project
from conftest import Product
from openai_side import EMBEDDINGS, completion
from scripted import Handler, Received, answer, scripted
from tests.metering.door import select

README = Path(__file__).parents[1] / "README.md"


def either(handler: Handler, received: Received) -> None:
    answer(200, EMBEDDINGS if received.path.endswith("/embeddings") else completion())(handler, received)


def test_examples(
    product: Product,
    new_client: Callable[..., Any],
    acme: Organization,
    website: Project,
    prices: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    product.start()
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 7
    with scripted(either) as server:
        for name, value in {
            "TOKENLEDGER_BASE_URL": product.url,
            "TOKENLEDGER_API_KEY": product.key.secret,
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "OPENAI_API_KEY": "sk-test",
        }.items():
            monkeypatch.setenv(name, value)
        names: dict[str, Any] = {}
        ledgers = []
        for block in blocks:
            exec(compile(block, str(README), "exec"), names)
            if names["ledger"] not in ledgers:
                ledgers.append(names["ledger"])
            # The example with `with` leaves a closed client behind; the others go on with the first.
            names["ledger"] = ledgers[0]
        names["client"].close()
        assert ledgers[0].close()
    assert not (tmp_path / "undelivered.jsonl").exists()
    assert "acknowledged=3" in capsys.readouterr().out
    told = select(acme, "SELECT count(*), count(*) FILTER (WHERE project_id = %s) FROM metering_event", website.pk)
    assert told == [(5, 2)]
