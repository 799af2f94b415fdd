from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import transaction

from accounts.audit import Actor
from accounts.keys import create_key
from accounts.models import Scope, User
from accounts.organizations import create_organization
from core.errors import ApiError
from core.tenancy import organization_scope


class Command(BaseCommand):
    help = "Create an organization with its owner and an API key that may do everything. Prints the key once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--owner", required=True, metavar="EMAIL", help="made a user unless there is one")
        parser.add_argument("--password", help="of a new owner; without it they reset it by e-mail")
        parser.add_argument("--plan", metavar="CODE", help="the usual one unless given")
        parser.add_argument("--timezone", default="UTC", metavar="TZ", help="an IANA zone, such as Europe/Berlin")
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        email = options["owner"].strip().lower()
        by = Actor.of_command("create_organization")
        try:
            with transaction.atomic():
                owner = _owner(email, options["password"])
                organization = create_organization(
                    options["name"], owner, by=by, timezone=options["timezone"], plan=options["plan"]
                )
                with organization_scope(organization.pk):
                    _, secret = create_key(organization, "First key", Scope.values, by=by)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except ApiError as error:
            raise CommandError(error.message) from error
        answer = {"organization": organization.name, "slug": organization.slug, "owner": email, "api_key": secret}
        if options["json"]:
            self.stdout.write(json.dumps(answer))
        else:
            self.stdout.write("\n".join(f"{name:<14}{value}" for name, value in answer.items()))


def _owner(email: str, password: str | None) -> User:
    owner = User.objects.filter(email__iexact=email).first()
    if owner is not None:
        if password is not None:
            raise CommandError(f"{email} has an account already. Leave --password out.")
        return owner
    validate_email(email)
    if password is not None:
        validate_password(password, User(email=email))
    owner = User.objects.create_user(email, password)
    # Whoever runs commands here vouches for the address.
    EmailAddress.objects.create(user=owner, email=owner.email, verified=True, primary=True)
    return owner
