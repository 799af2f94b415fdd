from __future__ import annotations

import json
import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.audit import Actor
from accounts.models import Organization
from core.errors import ApiError
from core.tenancy import organization_scope, unscoped
from metering.gateway.providers import provider_of
from metering.gateway.upstreams import EVERYTHING, create_upstream
from metering.models import Protocol


class Command(BaseCommand):
    help = "Add a model server that the gateway sends an organization's calls to."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization", metavar="ORG", help="its slug")
        parser.add_argument("--name", required=True)
        parser.add_argument("--protocol", required=True, choices=Protocol.values)
        parser.add_argument("--base-url", required=True, help="https://api.openai.com/v1, or https://api.anthropic.com")
        parser.add_argument(
            "--credential-env", metavar="VAR", help="the environment variable that holds the provider's key"
        )
        parser.add_argument(
            "--models",
            nargs="+",
            default=[EVERYTHING],
            metavar="GLOB",
            help="names of models, with * for any characters",
        )
        parser.add_argument("--provider", default="", help="whose prices apply, where the address does not tell")
        parser.add_argument("--position", type=int, help="smaller is asked first; last unless given")
        parser.add_argument("--timeout", type=int, default=600, metavar="SECONDS")
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        slug = options["organization"]
        with unscoped("a command names its organization"):
            organization = Organization.objects.filter(slug=slug).first()
        if organization is None:
            raise CommandError(f"There is no organization {slug}.")
        try:
            with organization_scope(organization.pk):
                upstream = create_upstream(
                    organization,
                    by=Actor.of_command("add_upstream"),
                    name=options["name"],
                    protocol=options["protocol"],
                    base_url=options["base_url"],
                    credential=_credential(options["credential_env"]),
                    provider=options["provider"],
                    models=options["models"],
                    position=options["position"],
                    timeout_seconds=options["timeout"],
                )
        except ApiError as error:
            raise CommandError(f"{error.param}: {error.message}" if error.param else error.message) from error
        if options["json"]:
            answer = {
                "organization": organization.slug,
                "id": upstream.pk,
                "name": upstream.name,
                "protocol": upstream.protocol,
                "base_url": upstream.base_url,
                "provider": provider_of(upstream),
                "models": upstream.models,
                "position": upstream.position,
            }
            self.stdout.write(json.dumps(answer))
        else:
            self.stdout.write(f"{upstream.name} serves {', '.join(upstream.models)} for {organization.slug}.")


def _credential(variable: str | None) -> str | None:
    """Not an argument itself: those stand in the process list and the shell's history."""
    if variable is None:
        return None
    credential = os.environ.get(variable, "")
    if not credential:
        raise CommandError(f"The environment variable {variable} is not set.")
    return credential
