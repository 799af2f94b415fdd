"""What docs/architecture.md says of the code, held against the code."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection
from django.dispatch import Signal

ROOT = Path(__file__).resolve().parents[1]
APPS = ("core", "accounts", "metering", "billing", "alerts", "reports")
FORBIDDEN_NAMES = {"utils", "helpers", "services", "manager", "managers", "common", "misc"}


def modules() -> list[Path]:
    return [path for app in (*APPS, "config") for path in (ROOT / app).rglob("*.py")]


def _signals(app: str) -> dict[str, Signal]:
    module = importlib.import_module(f"{app}.signals")
    return {name: value for name, value in vars(module).items() if isinstance(value, Signal)}


def test_no_module_is_called_by_a_word_that_says_nothing() -> None:
    assert [str(path) for path in modules() if FORBIDDEN_NAMES & {path.stem, *path.parts}] == []


def test_every_app_says_what_it_owns() -> None:
    assert [app for app in APPS if not (ROOT / app / "README.md").exists()] == []


def test_every_signal_is_listed_with_its_receivers_and_heard_nowhere_else() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    listed = dict(re.findall(r"^\| `(\S+\.signals\.\w+)` \| [^|]* \| ([^|]*) \|$", text, re.MULTILINE))
    found: dict[str, Signal] = {}
    for app in APPS:
        if (ROOT / app / "signals.py").exists():
            module = importlib.import_module(f"{app}.signals")
            found |= {
                f"{app}.signals.{name}": value for name, value in vars(module).items() if isinstance(value, Signal)
            }
    assert found.keys() == listed.keys()
    for name, signal in found.items():
        heard_by = {receiver.__module__ for receiver in signal._live_receivers(sender=None)[0]}
        receivers = {module for module in heard_by if not module.startswith("tests.")}
        named = {match.replace("/", ".") for match in re.findall(r"`(\w+/receivers)\.py`", listed[name])}
        assert receivers == named, name


def test_receivers_are_found_only_in_receivers() -> None:
    ours = {name for app in APPS if (ROOT / app / "signals.py").exists() for name in _signals(app)}
    listening = re.compile(rf"@receiver\(|\b({'|'.join(ours)})\.connect\(")
    heard = [path for path in modules() if listening.search(path.read_text())]
    assert {path.name for path in heard} <= {"receivers.py"}


@pytest.mark.django_db
def test_every_table_with_an_organization_has_row_level_security() -> None:
    """Models or not, partitions included."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organization_id' AND NOT a.attisdropped
            WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
              AND NOT (c.relrowsecurity AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid))
            """
        )
        assert cursor.fetchall() == []


def test_labels_of_apps_are_their_folders() -> None:
    assert {app for app in APPS if apps.is_installed(app)} == set(APPS)
