from __future__ import annotations

import os
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
            supervisor.prepare_database(secret_file)
            supervisor.collect_static(directory)
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped before it was ready. The next start goes on from here.", returncode=130
            ) from None
        except (supervisor.DemoError, embedded.EmbeddedServerError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"The data directory {directory} cannot be used: {error}.") from error
        sys.exit(self._run(port, secret_file.read_text().strip(), with_traffic=not options["no_traffic"]))

    def _run(self, port: int, secret: str, *, with_traffic: bool) -> int:
        python, url = sys.executable, f"http://127.0.0.1:{port}"
        processes = supervisor.Supervisor()
        processes.start(
            "web",
            [
                python,
                "-m",
                "uvicorn",
                "config.asgi:application",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "--log-level",
                "warning",
                "--timeout-graceful-shutdown",
                "5",
            ],
        )
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
        self.stdout.write(
            f"""
Tokenledger is running at http://localhost:{port}

  Log in as         alice@northbound.test   owner, in two organizations
                    adam@… admin   fiona@… finance   bob@… member   vera@… viewer
  Password          {PASSWORD}
  API key           {secret}

  curl http://localhost:{port}/v1/usage -H "Authorization: Bearer {secret}"

Ctrl-C stops everything; the next start finds the data again.
"""
        )
        self.stdout.flush()


# Everybody's in the demo, which listens on this machine alone.
PASSWORD = "northbound-demo"  # noqa: S105


def refuse_taken_port(port: int) -> None:
    if not 1 <= port <= 65535:
        raise CommandError("--port is a number from 1 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"Port {port} is taken. Choose another with --port.") from error
