"""What the product refuses to start with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def check(**environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "DATABASE_URL", "REDIS_URL") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_secret_it_refuses_and_says_what_to_set() -> None:
    refused = check(DEBUG="0", TOKENLEDGER_EMBEDDED="off")
    assert refused.returncode != 0
    assert "SECRET_KEY is not set" in refused.stderr


@pytest.mark.parametrize("environment", [{"DEBUG": "1"}, {"DEBUG": "0", "SECRET_KEY": "x" * 50}])
def test_with_one_or_on_a_developers_machine_it_starts(environment: dict[str, str]) -> None:
    started = check(TOKENLEDGER_EMBEDDED="off", **environment)
    assert started.returncode == 0, started.stderr


def test_a_wrong_database_url_is_named() -> None:
    refused = check(DEBUG="1", DATABASE_URL="mysql://x/y", TOKENLEDGER_EMBEDDED="off")
    assert "DATABASE_URL must start with postgres://" in refused.stderr


def test_every_scheduled_task_exists() -> None:
    from config.celery import app

    app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert scheduled
    assert scheduled <= set(app.tasks)
