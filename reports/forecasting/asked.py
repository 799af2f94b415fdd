"""Whose forecast an address asks for, and whether who asks may see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from accounts.models import Membership, Organization, Team
from accounts.permissions import Right, administered_team_ids, may
from core.errors import ApiError
from metering.query.labels import GroupValue, resolve_filters
from metering.query.params import NONE
from reports.forecasting.records import MEASURES
from reports.forecasting.subjects import WHOLE, Subject, name_of
from reports.models import ForecastMeasure, ForecastScope

# Each a parameter, with the value that filters have.
SCOPES = (ForecastScope.TEAM.value, ForecastScope.PROJECT.value, ForecastScope.MODEL.value)
PARAMETERS = (*SCOPES, "measure")
_WITHOUT = {
    ForecastScope.TEAM.value: "Usage without a team",
    ForecastScope.PROJECT.value: "Usage without a project",
    ForecastScope.MODEL.value: "Usage without a model",
}


class Asked(msgspec.Struct, frozen=True):
    """`name` is the subject's own, `label` says which kind of thing it is, too."""

    subject: Subject
    measure: str
    name: GroupValue

    @property
    def key(self) -> str | None:
        """What goes back into the address; None for the organization and for oneself."""
        return (self.name.key or NONE) if self.subject.scope in SCOPES else None

    @property
    def label(self) -> str:
        if self.subject.scope == ForecastScope.MEMBER:
            return "Your own usage"
        if self.subject.scope in SCOPES and not self.subject.ref:
            return _WITHOUT[self.subject.scope]
        return self.name.label or f"deleted {self.subject.scope}"

    def query(self, **changes: str | None) -> str:
        """This question as an address's parameters, with some of them changed; None takes one away."""
        given: dict[str, str | None] = {"measure": self.measure}
        if self.key is not None:
            given[self.subject.scope] = self.key
        return urlencode({name: value for name, value in {**given, **changes}.items() if value is not None})


def asked_by_key(organization: Organization, given: Mapping[str, Any]) -> Asked:
    """Raises ApiError 422. Needs the organization's scope, as all of these."""
    return _asked(organization, _subject(organization, given) or WHOLE, given)


def asked_by_member(membership: Membership, given: Mapping[str, Any]) -> Asked:
    """A member's own, unless they ask for a team they administer. Raises ApiError 422 for nonsense, 403 for others'."""
    organization = membership.organization
    subject = _subject(organization, given)
    if may(membership.role, Right.SEE_USAGE):
        return _asked(organization, subject or WHOLE, given)
    if subject is None:
        return _asked(organization, Subject(ForecastScope.MEMBER.value, membership.pk), given)
    if subject.scope != ForecastScope.TEAM or subject.ref not in administered_team_ids(membership):
        text = "Your role sees what is likely of your own usage, and of teams that you administer."
        raise ApiError(403, "forbidden", text, param=subject.scope)
    return _asked(organization, subject, given)


def administered_teams(membership: Membership) -> list[Team]:
    """Those that a member may choose beside themselves."""
    if may(membership.role, Right.SEE_USAGE):
        return []
    return list(Team.objects.filter(pk__in=administered_team_ids(membership)).order_by("name"))


def _asked(organization: Organization, subject: Subject, given: Mapping[str, Any]) -> Asked:
    measure = given.get("measure") or ForecastMeasure.COST.value
    if measure not in MEASURES:
        raise ApiError(422, "invalid_parameter", f"measure is one of {', '.join(MEASURES)}.", param="measure")
    return Asked(subject, measure, name_of(organization, subject))


def _subject(organization: Organization, given: Mapping[str, Any]) -> Subject | None:
    named = [scope for scope in SCOPES if given.get(scope)]
    if not named:
        return None
    if len(named) > 1:
        text = f"Forecasts are of one thing at a time: {' or '.join(named)}."
        raise ApiError(422, "invalid_parameter", text, param=named[1])
    (scope,) = named
    value = None if given[scope] == NONE else given[scope]
    refs = resolve_filters(organization.pk, {scope: (value,)})[scope].refs
    if not refs:
        raise ApiError(422, "invalid_parameter", f"No usage has the {scope} {value!r}.", param=scope)
    return Subject(scope, refs[0])
