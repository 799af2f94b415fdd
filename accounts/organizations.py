"""Organizations: founded, described, moved to another time zone."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.utils.module_loading import import_string
from django.utils.text import slugify
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Membership, Organization, Role, User
from accounts.signals import organization_created, organization_described, organization_zone_changed
from core.errors import ApiError
from core.tenancy import organization_scope, unscoped

DESCRIPTION = (
    "name",
    "timezone",
    "country",
    "billing_name",
    "billing_email",
    "billing_address",
    "billing_postal_code",
    "billing_city",
)


# What else belongs to founding an organization, by the apps above: name → a function of (organization, plan, by),
# called in the transaction that makes it, so that none lacks it. An ApiError of one refuses the organization.
FOUNDING: dict[str, str] = {}


def add_founding_step(name: str, path: str) -> None:
    FOUNDING[name] = path


def create_organization(
    name: str,
    owner: User,
    *,
    by: Actor,
    timezone: str = "UTC",
    country: str = "",
    plan: str | None = None,
    at: datetime | None = None,
) -> Organization:
    """Found an organization with its first owner. The slug comes from the name, with a number where it is taken.

    `plan` is the code of its plan, None for the usual one; `at` is when it was founded, None for now. Raises ApiError
    422 for a plan there is none of.
    """
    organization = Organization(name=name.strip(), slug="x", timezone=timezone, country=country, created_at=at or now())
    validated(organization)
    with transaction.atomic():
        with unscoped("a new organization is in nobody's scope"):
            _insert_with_free_slug(organization)
        _found(organization, owner, by, plan)
    return organization


def _found(organization: Organization, owner: User, by: Actor, plan: str | None) -> None:
    with organization_scope(organization.pk):
        membership = Membership.objects.create(organization=organization, user=owner, role=Role.OWNER)
        audit.record(
            by, "organization.create", organization, audit.creation(organization, ("name", "slug", "timezone"))
        )
        audit.record(by, "member.join", membership, audit.creation(membership, ("role",)), label=owner.email)
        for path in FOUNDING.values():
            import_string(path)(organization, plan, by)
        transaction.on_commit(
            lambda: organization_created.send(Organization, organization_id=organization.pk, plan=plan)
        )


def update_organization(organization: Organization, values: Mapping[str, Any], *, by: Actor) -> list[str]:
    """Change fields of DESCRIPTION. Returns which ones differed."""
    unknown = set(values) - set(DESCRIPTION)
    if unknown:
        raise ValueError(f"not a field of an organization's description: {', '.join(sorted(unknown))}")
    zone = organization.timezone
    draft = copy.copy(organization)
    for name, value in values.items():
        setattr(draft, name, value)
    validated(draft)
    with transaction.atomic():
        changed = audit.change(by, "organization.update", organization, values)
        if changed:
            transaction.on_commit(lambda: organization_described.send(Organization, organization_id=organization.pk))
        if "timezone" in changed:
            transaction.on_commit(
                lambda: organization_zone_changed.send(
                    Organization, organization_id=organization.pk, before=zone, after=organization.timezone
                )
            )
    return changed


def validated(instance: models.Model, *, exclude: tuple[str, ...] = ()) -> None:
    """Refuse what the model's fields refuse, with the field's name. Uniqueness is the database's to check."""
    try:
        instance.clean_fields(exclude=exclude)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise ApiError(422, "invalid_parameter", messages[0], param=field) from error


def free_slug(name: str, taken: set[str], fallback: str) -> str:
    base = slugify(name)[:50].strip("-") or fallback
    slug, number = base, 1
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return slug


def _insert_with_free_slug(organization: Organization) -> None:
    base = slugify(organization.name)[:50].strip("-") or "organization"
    for _ in range(5):
        taken = set(Organization.objects.filter(slug__startswith=base).values_list("slug", flat=True))
        organization.slug = free_slug(organization.name, taken, "organization")
        try:
            with transaction.atomic():
                organization.save(force_insert=True)
        except IntegrityError:
            continue  # somebody took the slug between our look and our insert
        return
    raise ApiError(503, "busy", "Too many organizations of this name are being created. Try again.", retry_after=1)
