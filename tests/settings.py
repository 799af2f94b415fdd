"""The product's settings on engines of the test run's own.

pytest-django reads settings before it loads any conftest, so the engines are started here. A run takes the
first free of a few data directories kept for this checkout; the lock on it falls with the process, and the
next run that takes the directory joins or stops what a killed one left behind. Given DATABASE_URL or REDIS_URL
are used as they are: tests make databases named test_… there, and empty the Redis databases 1 to 15.
"""

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from config import embedded

ROOT = Path(__file__).resolve().parent.parent


def _free_data_dir() -> Path:
    home = (
        Path(tempfile.gettempdir()) / f"tokenledger-tests-{os.geteuid()}-{hashlib.sha256(bytes(ROOT)).hexdigest()[:8]}"
    )
    home.mkdir(mode=0o755, exist_ok=True)
    if home.stat().st_uid != os.geteuid():
        raise RuntimeError(f"{home} belongs to somebody else; remove it and run the tests again.")
    number = 0
    while True:
        number += 1
        # Held until the process ends: a bare descriptor, which nothing closes before.
        lock = os.open(home / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        directory = home / str(number)
        directory.mkdir(mode=0o755, exist_ok=True)
        return directory


def _with_database(url: str, number: int) -> str:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"{parts.scheme}://{parts.path}?db={number}"
    return urlunsplit(parts._replace(path=f"/{number}"))


os.environ.update(SECRET_KEY="only-for-tests", DEBUG="0", EMAIL_URL="memorymail://", BASE_URL="http://testserver")
for name in (
    "METRICS_TOKEN",
    "RATE_LIMITS_WHEN_REDIS_IS_DOWN",
    "ALLOWED_HOSTS",
    "STRIPE_API_BASE",
    "STRIPE_API_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "USAGE_STORE_URL",
    "CREDITS_PER_USD",
):
    os.environ.pop(name, None)

# The run's first process starts the engines; xdist's workers inherit their addresses.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
if not WORKER:
    os.environ["TOKENLEDGER_DATA_DIR"] = str(_free_data_dir())
    embedded.provide(durable=False)
if os.environ.get("REDIS_URL"):
    os.environ["REDIS_URL"] = _with_database(os.environ["REDIS_URL"], 1 + int(WORKER.removeprefix("gw") or 0) % 15)

from config.settings import *  # noqa: E402, F403
from config.settings import MIDDLEWARE  # noqa: E402

ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Tests that want a page's CSS use live_server, which serves static files itself.
MIDDLEWARE = [name for name in MIDDLEWARE if name != "whitenoise.middleware.WhiteNoiseMiddleware"]
# What is enqueued goes nowhere; a test that wants a task's effect calls the task.
CELERY_BROKER_URL = "memory://"
LOG_LEVEL = "WARNING"
