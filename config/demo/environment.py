"""What the demo's processes and the commands beside it agree on: a data directory and a secret kept there."""

from __future__ import annotations

import os
import secrets
import sys
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
    _allow_own_model(environ)
    _keep_mail(environ)
    if not environ.get("SECRET_KEY"):
        kept = directory / _KEPT
        try:
            if not kept.exists():
                _make_secret(kept)
        except OSError as error:
            sys.exit(f"The data directory {directory} cannot be used: {error.strerror}.")
        _read(kept, environ)


def join(environ: MutableMapping[str, str] = os.environ) -> None:
    """A command typed beside a demo uses the demo's secret, unless the environment says anything itself."""
    kept: Path = data_dir(environ) / _KEPT
    if "SECRET_KEY" in environ or "DEBUG" in environ or not kept.exists():
        return
    _read(kept, environ)
    _allow_own_model(environ)
    _keep_mail(environ)


def _allow_own_model(environ: MutableMapping[str, str]) -> None:
    """The demo's model runs on this machine, where upstreams and webhooks lead by the operator's word only."""
    environ.setdefault("GATEWAY_ALLOW_PRIVATE_UPSTREAMS", "1")
    environ.setdefault("WEBHOOKS_ALLOW_PRIVATE", "1")


def _keep_mail(environ: MutableMapping[str, str]) -> None:
    """Its people have no mailboxes: what is written to them is kept, and shown on a page."""
    environ.setdefault("EMAIL_URL", "mailbox://")
    environ["TOKENLEDGER_DEMO"] = "1"


def _make_secret(kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    # Moved into place when it is whole: an empty file would be found, and lack the secret, for ever.
    draft = kept.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(f"SECRET_KEY={secrets.token_hex(32)}\n")
    draft.rename(kept)


def _read(kept: Path, environ: MutableMapping[str, str]) -> None:
    for line in kept.read_text().splitlines():
        name, _, value = line.partition("=")
        environ[name] = value
