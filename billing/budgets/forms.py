"""The form of a budget."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.timezone import now

from accounts.forms.fields import MemberField
from accounts.members import active_members
from accounts.models import APIKey, Department, Organization, Project, Team
from billing.budgets.reach import Reach
from billing.models import Budget, BudgetPeriod, BudgetScope
from core.days import DayField
from core.money import nanos_from_usd, usd_from_nanos
from metering.dimensions import Kind
from metering.models import LimitUnit
from metering.pricing.api import effective_prices
from metering.query.finding import texts_used

_THRESHOLD = re.compile(r"\s*(\d{1,4})\s*%?\s+(.{1,40}?)\s*")
_ENDS = [("warn", "Warn: calls go through"), ("refuse", "Refuse: calls beyond it are not let in")]
# Of names in use.
MOST_LISTED = 1_000
DEFAULT_THRESHOLDS = "75 warning, 90 caution, 95 critical"


class BudgetForm(forms.Form):
    of = forms.ChoiceField(label="For")
    unit = forms.ChoiceField(label="In", choices=[(LimitUnit.COST, "US dollars"), (LimitUnit.TOKENS, "Tokens")])
    amount = forms.DecimalField(max_digits=18, decimal_places=9, min_value=Decimal(0))
    period = forms.ChoiceField(
        choices=[(BudgetPeriod.MONTH, "Every calendar month"), (BudgetPeriod.CUSTOM, "Own dates")]
    )
    starts_on = DayField(label="From", required=False)
    ends_on = DayField(
        label="Until before",
        required=False,
        help_text="Own dates only: the first day that does not count any more.",
    )
    at_the_limit = forms.ChoiceField(label="At the limit", choices=_ENDS)
    thresholds = forms.CharField(
        required=False, max_length=600, initial=DEFAULT_THRESHOLDS, help_text="Percent and name, with commas between."
    )
    model = forms.CharField(
        required=False,
        max_length=200,
        help_text="Only this model's usage; empty is all. Type a part of its name.",
        widget=forms.TextInput({"list": "budget-models", "autocomplete": "off", "spellcheck": "false"}),
    )
    feature = forms.ChoiceField(required=False, help_text="Only this feature's usage.")
    owner = MemberField(
        lambda: active_members().order_by("user__email"),
        required=False,
        empty_label="Nobody",
        help_text="Who answers for it.",
    )
    name = forms.CharField(required=False, max_length=120, help_text="Where whose it is does not say enough.")

    def __init__(
        self, *args: Any, organization: Organization, reach: Reach, budget: Budget | None = None, **kwargs: Any
    ) -> None:
        if budget is not None:
            kwargs["initial"] = _initial(budget)
        super().__init__(*args, **kwargs)
        self.fields["of"].choices = _subjects(organization, reach)  # type: ignore[attr-defined]
        self.models = _models(organization, budget)
        self.fields["feature"].choices = _features(organization, budget)  # type: ignore[attr-defined]

    def clean_model(self) -> str:
        model: str = self.cleaned_data["model"]
        if model and model not in self.models:
            raise forms.ValidationError("No usage here and no price has such a model. Choose one of the list.")
        return model

    def clean_thresholds(self) -> list[dict[str, Any]]:
        text: str = self.cleaned_data["thresholds"]
        found = []
        for part in filter(str.strip, text.split(",")):
            match = _THRESHOLD.fullmatch(part)
            if match is None:
                raise forms.ValidationError("Write them as 75 warning, 90 caution.")
            found.append({"percent": int(match[1]), "name": match[2]})
        return found

    def clean(self) -> None:
        unit, amount = self.cleaned_data.get("unit"), self.cleaned_data.get("amount")
        if unit == LimitUnit.TOKENS and amount is not None and amount != amount.to_integral_value():
            self.add_error("amount", "Tokens are whole.")

    def values(self) -> dict[str, Any]:
        """As records.create_budget and records.change_budget take them."""
        given = self.cleaned_data
        scope, ref = given["of"].split(":")
        is_money = given["unit"] == LimitUnit.COST
        return {
            "scope": scope,
            "ref": int(ref),
            "amount": nanos_from_usd(given["amount"]) if is_money else int(given["amount"]),
            "is_hard": given["at_the_limit"] == "refuse",
            **{
                name: given[name]
                for name in (
                    "unit",
                    "period",
                    "starts_on",
                    "ends_on",
                    "thresholds",
                    "model",
                    "feature",
                    "owner",
                    "name",
                )
            },
        }


def _initial(budget: Budget) -> dict[str, Any]:
    is_money = budget.unit == LimitUnit.COST
    plain = ("unit", "period", "starts_on", "ends_on", "model", "feature", "name")
    return {
        **{name: getattr(budget, name) for name in plain},
        "of": f"{budget.scope}:{budget.ref}",
        "amount": f"{usd_from_nanos(budget.amount).normalize():f}" if is_money else budget.amount,
        "at_the_limit": "refuse" if budget.is_hard else "warn",
        "thresholds": ", ".join(f"{one['percent']} {one['name']}" for one in budget.thresholds),
        "owner": budget.owner_id,
    }


def _models(organization: Organization, budget: Budget | None) -> list[str]:
    """Those in use, then every other one with a price today, by their names in usage."""
    used = texts_used(organization.pk, Kind.MODEL, most=MOST_LISTED)
    priced = effective_prices(now()).prefetch_related(None).order_by("model").values_list("model", flat=True)
    return list(dict.fromkeys([*([budget.model] if budget is not None and budget.model else []), *used, *priced]))


def _features(organization: Organization, budget: Budget | None) -> list[tuple[str, str]]:
    used = texts_used(organization.pk, Kind.FEATURE, most=MOST_LISTED)
    kept = [budget.feature] if budget is not None and budget.feature and budget.feature not in used else []
    return [("", "All features"), *((text, text) for text in [*kept, *used])]


_Choices = list[tuple[str, str]]


def _subjects(organization: Organization, reach: Reach) -> list[tuple[str, _Choices]]:
    """Everybody one may set a budget for, by scope."""
    rows: dict[BudgetScope, Any] = {
        BudgetScope.DEPARTMENT: Department.objects.order_by("name").values_list("pk", "name"),
        BudgetScope.TEAM: Team.objects.order_by("name").values_list("pk", "name"),
        BudgetScope.PROJECT: Project.objects.filter(archived_at=None).order_by("name").values_list("pk", "name"),
        BudgetScope.MEMBER: [(one.pk, str(one.user)) for one in active_members().select_related("user")],
        BudgetScope.API_KEY: APIKey.objects.filter(revoked_at=None).order_by("name").values_list("pk", "name"),
    }
    found: list[tuple[str, _Choices]] = []
    if reach.may_set(BudgetScope.ORGANIZATION, 0):
        found.append((BudgetScope.ORGANIZATION.label, [(f"{BudgetScope.ORGANIZATION.value}:0", organization.name)]))
    for scope, subjects in rows.items():
        choices = [(f"{scope.value}:{pk}", name) for pk, name in subjects if reach.may_set(scope.value, pk)]
        if choices:
            found.append((scope.label, choices))
    return found
