from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.audit import Actor
from accounts.keys import create_key
from accounts.members import active_members
from accounts.models import Membership, Organization, Project, Scope
from core.errors import ApiError
from core.tenancy import organization_scope, unscoped


class Command(BaseCommand):
    help = "Create an API key of an organization and print it once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization", metavar="ORG", help="its slug")
        parser.add_argument("--name", default="Key from the command line")
        parser.add_argument("--project", metavar="SLUG")
        parser.add_argument("--member", metavar="EMAIL", help="the member whose key it is")
        parser.add_argument(
            "--scopes",
            nargs="+",
            default=[str(Scope.USAGE_WRITE), str(Scope.USAGE_READ), str(Scope.GATEWAY)],
            help=f"some of {', '.join(Scope.values)}, apart by spaces or commas",
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        slug = options["organization"]
        with unscoped("a command names its organization"):
            organization = Organization.objects.filter(slug=slug).first()
        if organization is None:
            raise CommandError(f"There is no organization {slug}.")
        scopes = [scope for text in options["scopes"] for scope in text.split(",") if scope]
        try:
            with organization_scope(organization.pk):
                key, secret = create_key(
                    organization,
                    options["name"],
                    scopes,
                    by=Actor.of_command("create_key"),
                    project=_project(options["project"]),
                    member=_member(options["member"]),
                )
        except ApiError as error:
            raise CommandError(error.message) from error
        if options["json"]:
            answer = {
                "organization": organization.slug,
                "name": key.name,
                "prefix": key.prefix,
                "scopes": key.scopes,
                "api_key": secret,
            }
            self.stdout.write(json.dumps(answer))
        else:
            self.stdout.write(secret)


def _project(slug: str | None) -> Project | None:
    if slug is None:
        return None
    project: Project | None = Project.objects.filter(slug=slug, archived_at=None).first()
    if project is None:
        raise CommandError(f"There is no project {slug}.")
    return project


def _member(email: str | None) -> Membership | None:
    if email is None:
        return None
    member = active_members().filter(user__email__iexact=email).first()
    if member is None:
        raise CommandError(f"There is no member {email}.")
    return member
