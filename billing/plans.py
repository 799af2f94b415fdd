"""Plans: what is offered, what each was on any day, and how the operator changes them.

A change is a new version from a day on that has begun nowhere yet. Subscribers have it from their next period on, so no
period that has begun, and nothing that was charged, is ever another than it was.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils.timezone import now

from billing.models import Feature, Overage, Plan, PlanVersion
from core.days import OUTSIDE, is_within_years
from core.errors import ApiError
from core.money import NANOS_PER_USD
from core.tenancy import unscoped

DEFAULT_PLAN = "free"
# Before anybody could subscribe.
ALWAYS = dt.date(2000, 1, 1)
# Where the day begins first.
_EARLIEST_ZONE = dt.timedelta(hours=14)
_LOCK = 7_266


class Terms(msgspec.Struct, frozen=True):
    """What a version of a plan says. Money in nano-dollars; None is unlimited."""

    name: str
    position: int
    is_offered: bool
    base_fee_nanos: int
    allowance_tokens: int | None
    overage: Overage
    requests_per_minute: int | None
    tokens_per_minute: int | None
    features: tuple[str, ...] = ()
    trial_days: int = 0


# As the product begins; from then on the operator's.
SEEDS: dict[str, Terms] = {
    "free": Terms("Free", 1, True, 0, 100_000, Overage.REFUSE, 60, 60_000),
    "prepaid": Terms("Pay as you go", 2, True, 0, 0, Overage.CREDITS, 600, 600_000),
    "developer": Terms(
        "Developer", 3, True, 29 * NANOS_PER_USD, 5_000_000, Overage.CHARGE, 600, 600_000, trial_days=14
    ),
    "startup": Terms(
        "Startup", 4, True, 149 * NANOS_PER_USD, 25_000_000, Overage.CHARGE, 3_000, 3_000_000, trial_days=14
    ),
    "enterprise": Terms(
        "Enterprise", 5, False, 2_500 * NANOS_PER_USD, None, Overage.CHARGE, 12_000, 24_000_000, (Feature.TEAM_USAGE,)
    ),
}


def seed_plans() -> None:
    """Make the plans that are not there yet (after each migration)."""
    with unscoped("plans are nobody's"):
        known = set(Plan.objects.values_list("code", flat=True))
        for code, terms in SEEDS.items():
            if code not in known:
                plan = Plan.objects.create(code=code)
                _add_version(plan, 1, ALWAYS, terms, "the product")


def versions_on(day: dt.date) -> dict[str, PlanVersion]:
    """Every plan there is as it is on a day, by code, in the order of the list."""
    rows = PlanVersion.objects.filter(effective_on__lte=day).select_related("plan")
    latest = rows.order_by("plan", "-effective_on", "-number").distinct("plan")
    return {one.plan.code: one for one in sorted(latest, key=lambda one: (one.position, one.plan_id))}


def version_on(code: str, day: dt.date) -> PlanVersion:
    """A plan as it is on a day. Raises ApiError 422 for one there is none of."""
    found = versions_on(day).get(code)
    if found is None:
        raise ApiError(422, "unknown_plan", f"There is no plan {code!r}.", param="plan")
    return found


def create_plan(code: str, terms: Terms, *, by_label: str) -> PlanVersion:
    """A new plan, open to subscribers at once. Raises ApiError 409 when the code is taken, 422 for nonsense."""
    with unscoped("plans are nobody's"):
        _lock()
        if Plan.objects.filter(code=code).exists():
            raise ApiError(409, "plan_exists", f"There is a plan {code!r} already.", param="code")
        plan = Plan(code=code)
        _check(plan)
        plan.save()
        return _add_version(plan, 1, ALWAYS, terms, by_label)


def change_plan_terms(
    code: str, changes: Mapping[str, Any], *, effective_on: dt.date, by_label: str, at: dt.datetime | None = None
) -> PlanVersion:
    """A new version of a plan: the terms it has on that day with these changes (fields of Terms).

    Raises ApiError 422 for a day that has begun somewhere, or terms that make no sense.
    """
    with unscoped("plans are nobody's"):
        _lock()
        version = draft_version(code, changes, effective_on=effective_on, by_label=by_label, at=at)
        version.save()
    return version


def draft_version(
    code: str, changes: Mapping[str, Any], *, effective_on: dt.date, by_label: str, at: dt.datetime | None = None
) -> PlanVersion:
    """What `change_plan_terms` would store, to be looked at. Raises as it does."""
    if effective_on < first_day_to_change(at or now()):
        raise ApiError(422, "invalid_date", "A plan changes on a day that has begun nowhere yet.", param="effective_on")
    if not is_within_years(effective_on):
        raise ApiError(422, "invalid_date", OUTSIDE, param="effective_on")
    before = version_on(code, effective_on)
    terms = msgspec.structs.replace(terms_of(before), **changes)
    if code == DEFAULT_PLAN and not terms.is_offered:
        raise ApiError(
            422, "default_plan", "Organizations begin on this plan, and go back to it: it stays on sale.",
            param="is_offered",
        )  # fmt: skip
    return _version(before.plan, versions_made(before.plan) + 1, effective_on, terms, by_label)


def first_day_to_change(at: dt.datetime) -> dt.date:
    """The first day that has begun nowhere."""
    return (at + _EARLIEST_ZONE).date() + dt.timedelta(days=1)


def versions_made(plan: Plan) -> int:
    return PlanVersion.objects.filter(plan=plan).count()


def terms_of(version: PlanVersion) -> Terms:
    values = {name: getattr(version, name) for name in Terms.__struct_fields__}
    return Terms(**{**values, "features": tuple(version.features), "overage": Overage(version.overage)})


def _add_version(plan: Plan, number: int, effective_on: dt.date, terms: Terms, by_label: str) -> PlanVersion:
    version = _version(plan, number, effective_on, terms, by_label)
    version.save()
    return version


def _version(plan: Plan, number: int, effective_on: dt.date, terms: Terms, by_label: str) -> PlanVersion:
    """Checked, not stored. Raises ApiError 422."""
    values = msgspec.structs.asdict(terms) | {"features": list(terms.features)}
    version = PlanVersion(plan=plan, number=number, effective_on=effective_on, made_by_label=by_label, **values)
    _check(version)
    if terms.base_fee_nanos < 0 or (terms.allowance_tokens or 0) < 0:
        raise ApiError(422, "invalid_plan", "Fees and allowances are at least 0.", param="base_fee_nanos")
    if terms.overage == Overage.CREDITS and terms.allowance_tokens != 0:
        raise ApiError(
            422, "invalid_plan", "A plan that is paid with credits includes no tokens.", param="allowance_tokens"
        )
    return version


def _check(row: Plan | PlanVersion) -> None:
    try:
        row.clean_fields(exclude=("made_at", "created_at"))
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise ApiError(422, "invalid_plan", messages[0], param=field) from error


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [_LOCK])
