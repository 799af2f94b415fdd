"""Pages of this app, opened by OrganizationMiddleware. The API's addresses are in endpoints/urls.py."""

from django.urls import path

from billing.views import budgets

app_name = "billing"

_BUDGETS = "o/<slug:organization>/budgets/"

urlpatterns = [
    path(_BUDGETS, budgets.index, name="budgets"),
    path(f"{_BUDGETS}budgets.csv", budgets.export, name="budgets-csv"),
    path(f"{_BUDGETS}new/", budgets.create, name="budget-create"),
    path(f"{_BUDGETS}suggestions/", budgets.suggestions, name="budget-suggestions"),
    path(f"{_BUDGETS}<int:budget>/", budgets.change, name="budget"),
    path(f"{_BUDGETS}<int:budget>/archive/", budgets.archive, name="budget-archive"),
]
