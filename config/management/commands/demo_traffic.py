from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from config.demo.traffic import send_forever


class Command(BaseCommand):
    help = "Send the demo organization's live calls until stopped."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", required=True)
        parser.add_argument("--key-file", type=Path, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        send_forever(options["url"], options["key_file"].read_text().strip())
