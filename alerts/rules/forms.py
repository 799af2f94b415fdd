"""The form of a rule."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms

from accounts.members import active_members
from accounts.models import APIKey, Department, Organization, Project, Team
from alerts.conditions import CONDITIONS, all_conditions, condition
from alerts.models import AlertRule, RuleScope, Window
from alerts.models.rules import TEXT_SCOPES
from alerts.rules.reach import Reach
from core.errors import ApiError
from metering.dimensions import DIMENSIONS
from metering.models import Label

RENOTIFY = [("", "Once"), ("60", "Every hour"), ("240", "Every 4 hours"), ("1440", "Every day")]
MOST_TEXTS = 200


class RuleForm(forms.Form):
    condition = forms.ChoiceField(label="Watch for")
    of = forms.ChoiceField(label="For")
    threshold = forms.DecimalField(max_digits=24, decimal_places=9, min_value=Decimal(0))
    window = forms.ChoiceField(label="In each", required=False)
    minimum = forms.DecimalField(
        label="Judged from", max_digits=24, decimal_places=9, min_value=Decimal(0), required=False
    )
    renotify = forms.ChoiceField(label="Tell", choices=RENOTIFY, required=False)
    name = forms.CharField(required=False, max_length=120, help_text="Where what it watches does not say enough.")

    def __init__(
        self, *args: Any, organization: Organization, reach: Reach, rule: AlertRule | None = None, **kwargs: Any
    ) -> None:
        if rule is not None:
            kwargs["initial"] = _initial(rule)
        super().__init__(*args, **kwargs)
        self.organization = organization
        known = [(one.name, one.title) for one in all_conditions() if _may_be_set(one.name, reach)]
        self.fields["condition"].choices = known  # type: ignore[attr-defined]
        chosen = condition(self._chosen(known[0][0]))
        self.fields["of"].choices = _subjects(organization, reach, chosen.name)  # type: ignore[attr-defined]
        self.fields["window"].choices = [(one.value, one.label) for one in chosen.windows]  # type: ignore[attr-defined]
        self.fields["condition"].help_text = chosen.about
        self.fields["threshold"].label = f"Threshold, {UNIT_WORDS[chosen.unit.value]}"
        if len(chosen.windows) == 1:
            self.fields["window"].widget = forms.HiddenInput()
        if chosen.most_threshold == 0:
            self.fields["threshold"].widget = forms.HiddenInput()
        if chosen.minimum is None:
            del self.fields["minimum"]
        else:
            words = UNIT_WORDS[chosen.minimum_unit.value]
            self.fields["minimum"].label = f"Judged from, {words}"
            self.fields["minimum"].help_text = "Windows with less than this are too small to say anything."
        self.chosen = chosen

    def _chosen(self, first: str) -> str:
        given = self.data.get("condition") if self.is_bound else self.initial.get("condition")
        return str(given) if given in CONDITIONS else first

    def values(self) -> dict[str, Any]:
        """As records.create_rule and records.change_rule take them. Raises ApiError 422."""
        given = self.cleaned_data
        scope, _, name = given["of"].partition(":")
        is_text = scope in TEXT_SCOPES
        minimum = given.get("minimum")
        return {
            "condition": given["condition"],
            "scope": scope,
            "ref": 0 if is_text else int(name or 0),
            "value": name if is_text else "",
            "threshold": self.chosen.unit.read(given["threshold"], "threshold"),
            "window": given["window"] or self.chosen.windows[0].value,
            "minimum": None if minimum is None else self.chosen.minimum_unit.read(minimum, "minimum"),
            "renotify_minutes": int(given["renotify"]) if given["renotify"] else None,
            "name": given["name"],
        }

    def clean(self) -> None:
        for name, unit in (("threshold", self.chosen.unit), ("minimum", self.chosen.minimum_unit)):
            amount = self.cleaned_data.get(name)
            if amount is not None:
                try:
                    unit.read(amount, name)
                except ApiError as error:
                    self.add_error(name, error.message)


UNIT_WORDS = {
    "tokens": "tokens",
    "requests": "calls",
    "usd": "US dollars",
    "percent": "percent",
    "ms": "milliseconds",
    "hours": "hours",
    "count": "count",
}


def defaults_of(name: str) -> dict[str, Any]:
    """A new form's initial values for a condition."""
    chosen = condition(name)
    return {
        "condition": name,
        "of": f"{RuleScope.ORGANIZATION.value}:0",
        "threshold": chosen.unit.field(chosen.threshold),
        "window": chosen.windows[0].value,
        "minimum": "" if chosen.minimum is None else chosen.minimum_unit.field(chosen.minimum),
    }


def _initial(rule: AlertRule) -> dict[str, Any]:
    chosen = condition(rule.condition)
    return {
        "condition": rule.condition,
        "of": f"{rule.scope}:{rule.value or rule.ref}",
        "threshold": chosen.unit.field(rule.threshold),
        "window": rule.window,
        "minimum": "" if rule.minimum is None else chosen.minimum_unit.field(rule.minimum),
        "renotify": "" if rule.renotify_minutes is None else str(rule.renotify_minutes),
        "name": rule.name,
    }


def _may_be_set(name: str, reach: Reach) -> bool:
    if reach.sets_all or (reach.sets_money and condition(name).is_about_money):
        return True
    return any(scope in condition(name).scopes for scope, _ in reach.sets)


_Choices = list[tuple[str, str]]


def _subjects(organization: Organization, reach: Reach, name: str) -> list[tuple[str, _Choices]]:
    """Everybody and everything one may watch for this condition, by scope. Needs the organization's scope."""
    rows: dict[RuleScope, Any] = {
        RuleScope.DEPARTMENT: Department.objects.order_by("name").values_list("pk", "name"),
        RuleScope.TEAM: Team.objects.order_by("name").values_list("pk", "name"),
        RuleScope.PROJECT: Project.objects.filter(archived_at=None).order_by("name").values_list("pk", "name"),
        RuleScope.MEMBER: [(one.pk, str(one.user)) for one in active_members().select_related("user")],
        RuleScope.API_KEY: APIKey.objects.filter(revoked_at=None).order_by("name").values_list("pk", "name"),
    }
    allowed = condition(name).scopes
    sets_every = reach.sets_all or (reach.sets_money and condition(name).is_about_money)
    found: list[tuple[str, _Choices]] = []
    if sets_every and RuleScope.ORGANIZATION in allowed:
        found.append((RuleScope.ORGANIZATION.label, [(f"{RuleScope.ORGANIZATION.value}:0", organization.name)]))
    for scope, subjects in rows.items():
        choices = [
            (f"{scope.value}:{pk}", label) for pk, label in subjects if sets_every or (scope.value, pk) in reach.sets
        ]
        if choices and scope in allowed:
            found.append((scope.label, choices))
    if sets_every:
        found += [
            (RuleScope(scope).label, choices)
            for scope in (RuleScope.MODEL, RuleScope.FEATURE, RuleScope.INTEGRATION)
            if scope in allowed and (choices := _texts(scope))
        ]
    return found


def _texts(scope: RuleScope) -> _Choices:
    kind = DIMENSIONS[scope.value].kind
    texts = Label.objects.filter(kind=kind).order_by("text").values_list("text", flat=True)[:MOST_TEXTS]
    return [(f"{scope.value}:{text}", text) for text in texts]


def window_label(rule: AlertRule) -> str:
    return Window(rule.window).label
