"""What an organization says for its invoices, and whether its tax number is confirmed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from accounts.organizations import update_organization
from billing.models import BillingProfile, Seller, TaxStanding
from billing.parties.numbers import is_of, is_registered_in_union, tax_number_of
from billing.signals import tax_number_changed
from billing.tax.vat_numbers import NoRegister, Register, Vies
from core.errors import ApiError
from core.tenancy import organization_scope

ADDRESS = ("billing_name", "billing_email", "billing_address", "billing_postal_code", "billing_city", "country")
_UNCHECKED = {
    "tax_standing": TaxStanding.NOT_ASKED, "tax_checked_at": None, "tax_reference": "", "is_tax_decided": False
}  # fmt: skip
_NEVER_ASKED = {"tax_asked_at": None, "tax_unanswered": 0}


def profile_of(organization: Organization) -> BillingProfile:
    """Needs the organization's scope. One that is not stored yet when nothing was said."""
    found: BillingProfile | None = BillingProfile.objects.filter(organization=organization).first()
    return found or BillingProfile(organization=organization)


def set_details(organization: Organization, values: Mapping[str, Any], *, by: Actor) -> BillingProfile:
    """ADDRESS, `region`, `tax_number` and `reference`; a number that is another one is not confirmed any more.

    Needs the organization's scope. Raises ApiError 422 with the field's name.
    """
    number = tax_number_of(values["tax_number"], values["country"])
    own = {"region": values["region"], "tax_number": number, "reference": values["reference"]}
    with transaction.atomic():
        update_organization(organization, {name: values[name] for name in ADDRESS}, by=by)
        profile = _locked(organization)
        is_other = number != profile.tax_number
        audit.change(by, "billing.details", profile, own | (_UNCHECKED if is_other else {}))
        if is_other:
            _note(profile, _NEVER_ASKED)
        if is_other and number:
            _ask_later(organization.pk)
    return profile


def ask_again(organization: Organization) -> None:
    """Needs the organization's scope. Raises ApiError 409 where there is nothing to ask, or nobody."""
    profile = profile_of(organization)
    if not profile.tax_number or profile.tax_standing == TaxStanding.CONFIRMED:
        raise ApiError(409, "nothing_to_check", "There is no number that waits to be confirmed.")
    if not can_be_asked(profile.tax_number, organization.country):
        raise ApiError(409, "no_register", "No register is asked about this number: the operator confirms it.")
    _ask_later(organization.pk)


def can_be_asked(number: str, country: str) -> bool:
    return bool(settings.VAT_REGISTER_URL) and is_registered_in_union(country) and is_of(number, country)


def check_number(organization_id: int, at: dt.datetime) -> None:
    """Ask the register. It takes seconds, so nothing is locked meanwhile: of a number that changed, nothing is kept.

    What the register could not tell stays as it was, and so does what the operator decided.
    """
    with organization_scope(organization_id):
        organization = Organization.objects.get(pk=organization_id)
        present = profile_of(organization)
    number = present.tax_number
    if not number or present.is_tax_decided or not can_be_asked(number, organization.country):
        return
    checked = _register().check(number, at)
    standing = TaxStanding(checked.standing.value)
    with organization_scope(organization_id):
        profile = _locked(organization)
        if profile.tax_number != number or profile.is_tax_decided:
            return
        is_told = standing != TaxStanding.NOT_ASKED
        _note(profile, {"tax_asked_at": at, "tax_unanswered": 0 if is_told else profile.tax_unanswered + 1})
        if is_told:
            told = {"tax_standing": standing, "tax_checked_at": at, "tax_reference": checked.reference}
            audit.change(Actor.of_command("check_tax_number"), "billing.tax_number_check", profile, told)


def decide(organization: Organization, *, number: str, is_confirmed: bool, exemption: str, by: Actor) -> None:
    """The operator's word on `number`, which they saw, and on a certificate. Needs the organization's scope.

    Raises ApiError 422 for no number, 409 where it is another one by now.
    """
    with transaction.atomic():
        profile = _locked(organization)
        if number != profile.tax_number:
            raise ApiError(409, "number_changed", "It changed its number meanwhile. Open this page again.")
        if is_confirmed and not number:
            raise ApiError(422, "invalid_parameter", "There is no number to confirm.", param="is_confirmed")
        values: dict[str, Any] = {"exemption": exemption}
        if is_confirmed and profile.tax_standing != TaxStanding.CONFIRMED:
            values |= {
                "tax_standing": TaxStanding.CONFIRMED, "tax_checked_at": now(), "tax_reference": by.label,
                "is_tax_decided": True,
            }  # fmt: skip
        elif not is_confirmed and profile.tax_standing == TaxStanding.CONFIRMED:
            values |= _UNCHECKED
            _note(profile, _NEVER_ASKED)
        audit.change(by, "billing.tax_decision", profile, values)


def _locked(organization: Organization) -> BillingProfile:
    BillingProfile.objects.get_or_create(organization=organization)
    profile: BillingProfile = BillingProfile.objects.select_for_update().get(organization=organization)
    return profile


def _note(profile: BillingProfile, asking: Mapping[str, Any]) -> None:
    """How asking goes; the audit log has what came of it."""
    for name, value in asking.items():
        setattr(profile, name, value)
    profile.save(update_fields=list(asking))


def _ask_later(organization_id: int) -> None:
    transaction.on_commit(lambda: tax_number_changed.send(BillingProfile, organization_id=organization_id))


def _register() -> Register:
    if not settings.VAT_REGISTER_URL:
        return NoRegister()
    seller = Seller.objects.filter(pk=1).first()
    is_of_union = seller is not None and seller.is_registered and is_registered_in_union(seller.country)
    return Vies(settings.VAT_REGISTER_URL, seller.tax_number if seller is not None and is_of_union else "")
