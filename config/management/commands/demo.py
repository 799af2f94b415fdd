from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import embedded
from config.demo import supervisor


class Command(BaseCommand):
    help = "Show the product live: its own database, a demo organization with 13 months of usage, and traffic."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--data-dir", help="where database and files are kept (default: .data)")
        parser.add_argument("--fresh", action="store_true", help="throw the demo's data away and start over")
        parser.add_argument("--no-traffic", action="store_true", help="send no live calls")

    def handle(self, *args: Any, **options: Any) -> None:
        directory = Path(os.environ["TOKENLEDGER_DATA_DIR"])
        port: int = options["port"]
        refuse_taken_port(port)
        # Until the supervisor takes over, a polite end is like Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            if options["fresh"]:
                if os.environ.get("DATABASE_URL"):
                    raise CommandError(
                        "--fresh removes the embedded database only; DATABASE_URL names one of your own."
                    )
                supervisor.start_over(directory)
            self.stdout.write("Starting PostgreSQL and Redis …")
            embedded.provide()
            os.environ.setdefault("BASE_URL", f"http://localhost:{port}")
            secret_file = directory / "demo-key"
            model_port = free_port(port + 1)
            stripe_port = None if os.environ.get("STRIPE_API_KEY") else free_port(port + 2)
            if stripe_port:
                _point_at_fake_stripe(stripe_port)
            supervisor.prepare_database(secret_file, model_port)
            supervisor.collect_static(directory)
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped before it was ready. The next start goes on from here.", returncode=130
            ) from None
        except (supervisor.DemoError, embedded.EmbeddedServerError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"The data directory {directory} cannot be used: {error}.") from error
        secret = secret_file.read_text().strip()
        sys.exit(self._run(port, model_port, stripe_port, secret, with_traffic=not options["no_traffic"]))

    def _run(self, port: int, model_port: int, stripe_port: int | None, secret: str, *, with_traffic: bool) -> int:
        python, url = sys.executable, f"http://127.0.0.1:{port}"
        processes = supervisor.Supervisor()
        # A process of its own, where a provider would be, and a small one: it loads no Django.
        processes.start("model", [python, *_uvicorn("config.demo.model.app:application", model_port)])
        if stripe_port:
            processes.start("stripe", _fake_stripe(stripe_port, url))
        processes.start("web", [python, *_uvicorn("config.asgi:application", port)])
        # Root in a container of its own is fine here; Celery warns of it at length.
        celery = [
            python,
            "-W",
            "ignore:You're running the worker with superuser privileges",
            "-m",
            "celery",
            "--quiet",
            "-A",
            "config.celery",
        ]
        processes.start("worker", [*celery, "worker", "--loglevel", "WARNING", "--concurrency", "1", "--pool", "solo"])
        processes.start("beat", [*celery, "beat", "--loglevel", "WARNING"])
        if with_traffic:
            processes.start(
                "traffic",
                [
                    *supervisor.MANAGE,
                    "demo_traffic",
                    "--url",
                    url,
                    "--key-file",
                    os.environ["TOKENLEDGER_DATA_DIR"] + "/demo-key",
                ],
            )
        return processes.run(f"{url}/accounts/login/", lambda: self._announce(port, secret))

    def _announce(self, port: int, secret: str) -> None:
        url, authorization = f"http://localhost:{port}", f'-H "Authorization: Bearer {secret}"'
        self.stdout.write(
            f"""
Tokenledger is running at {url}

  Log in as         alice@northbound.test   owner, in two organizations
                    adam@… admin   fiona@… finance   bob@… member   vera@… viewer
                    {OPERATOR}   runs this installation: every organization
  Password          {PASSWORD}
  API key           {secret}

  Pay by card       4242 4242 4242 4242, any date to come and any code; no money moves

  Read usage:
  curl {url}/v1/usage {authorization}

  Call a model through the gateway; the demo's own model answers, no provider's account is needed:
  curl {url}/v1/chat/completions {authorization} -H "Content-Type: application/json" -d '{QUESTION}'

Ctrl-C stops everything; the next start finds the data again.
"""
        )
        self.stdout.flush()


# Everybody's in the demo, which listens on this machine alone.
PASSWORD = "northbound-demo"  # noqa: S105
OPERATOR = "oscar@operator.test"
QUESTION = '{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}'


def _point_at_fake_stripe(port: int) -> None:
    os.environ["STRIPE_API_KEY"] = "sk_test_demo"
    os.environ["STRIPE_API_BASE"] = f"http://127.0.0.1:{port}"
    os.environ["STRIPE_WEBHOOK_SECRET"] = f"whsec_{secrets.token_hex(16)}"


def _fake_stripe(port: int, url: str) -> list[str]:
    """Customers and cards are kept beside the database that knows of them."""
    kept = Path(os.environ["TOKENLEDGER_DATA_DIR"]) / "stripe" / "state.sqlite"
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    options = ["--state", str(kept), "--webhook", f"{url}/stripe/webhook"]
    secret = os.environ["STRIPE_WEBHOOK_SECRET"]
    return [*supervisor.MANAGE, "fake_stripe", "--port", str(port), *options, "--secret", secret]


def _uvicorn(application: str, port: int) -> list[str]:
    return [
        "-m",
        "uvicorn",
        application,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--log-level",
        "warning",
        "--timeout-graceful-shutdown",
        "5",
    ]


def free_port(wanted: int) -> int:
    """`wanted` where nobody listens there, so that it is the same at each start; else any."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return int(probe.getsockname()[1])
    raise CommandError("No port is free for the demo's model.")


def refuse_taken_port(port: int) -> None:
    if not 1 <= port <= 65535:
        raise CommandError("--port is a number from 1 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"Port {port} is taken. Choose another with --port.") from error
