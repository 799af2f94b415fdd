"""What the demo's processes and the commands beside it agree on: a data directory and a secret kept there."""

from __future__ import annotations

import os
import secrets
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from config.embedded import data_dir

_KEPT = "demo.env"


def prepare(arguments: Sequence[str], environ: MutableMapping[str, str] = os.environ) -> None:
    """Before Django reads its settings for `demo`: the data directory asked for, and a secret of its own."""
    for position, argument in enumerate(arguments):
        if argument == "--data-dir" and position + 1 < len(arguments):
            environ["TOKENLEDGER_DATA_DIR"] = arguments[position + 1]
        elif argument.startswith("--data-dir="):
            environ["TOKENLEDGER_DATA_DIR"] = argument.partition("=")[2]
    directory = data_dir(environ)
    environ["TOKENLEDGER_DATA_DIR"] = str(directory)
    if not environ.get("SECRET_KEY"):
        kept = directory / _KEPT
        if not kept.exists():
            directory.mkdir(parents=True, exist_ok=True)
            kept.touch(mode=0o600)
            kept.write_text(f"SECRET_KEY={secrets.token_hex(32)}\n")
        join(environ)


def join(environ: MutableMapping[str, str] = os.environ) -> None:
    """A command typed beside a demo uses the demo's secret, unless the environment says anything itself."""
    kept: Path = data_dir(environ) / _KEPT
    if "SECRET_KEY" in environ or "DEBUG" in environ or not kept.exists():
        return
    for line in kept.read_text().splitlines():
        name, _, value = line.partition("=")
        environ[name] = value
