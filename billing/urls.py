"""Pages of this app, opened by OrganizationMiddleware. The API's addresses are in endpoints/urls.py."""

from django.urls import path

from billing.views import budgets, details, invoices, plans, reconciliation, wallet

app_name = "billing"

_BILLING = "o/<slug:organization>/billing/"
_BUDGETS = "o/<slug:organization>/budgets/"
_CREDITS = f"{_BILLING}credits/"
_INVOICES = f"{_BILLING}invoices/"

urlpatterns = [
    path("o/<slug:organization>/costs/reconciliation/", reconciliation.reconciliations, name="reconciliations"),
    path(
        "o/<slug:organization>/costs/reconciliation/<int:statement>/",
        reconciliation.reconciliation,
        name="reconciliation",
    ),
    path(
        "o/<slug:organization>/costs/reconciliation/<int:statement>/rows.csv",
        reconciliation.reconciliation_file,
        name="reconciliation-file",
    ),
    path(
        "o/<slug:organization>/costs/reconciliation/<int:statement>/delete",
        reconciliation.delete_reconciliation,
        name="reconciliation-delete",
    ),
    path(_BILLING, plans.index, name="plan"),
    path(f"{_BILLING}plans/<slug:plan>/", plans.change, name="plan-change"),
    path(f"{_BILLING}cancel/", plans.cancel, name="plan-cancel"),
    path(f"{_BILLING}resume/", plans.resume, name="plan-resume"),
    path(_CREDITS, wallet.index, name="credits"),
    path(f"{_CREDITS}list.csv", wallet.export, name="credits-csv"),
    path(f"{_CREDITS}buy/", wallet.buy, name="credits-buy"),
    path(f"{_CREDITS}rules/", wallet.rules, name="credits-rules"),
    path(f"{_CREDITS}<int:top_up>/state", wallet.purchase_state, name="credits-purchase"),
    path(f"{_CREDITS}<int:top_up>/paid/", wallet.record_paid, name="credits-paid"),
    path(f"{_CREDITS}<int:top_up>/withdraw/", wallet.withdraw, name="credits-withdraw"),
    path(f"{_BILLING}details/", details.index, name="details"),
    path(f"{_BILLING}details/check/", details.check, name="tax-number-check"),
    path(_INVOICES, invoices.index, name="invoices"),
    path(f"{_INVOICES}list.csv", invoices.export, name="invoices-csv"),
    path(f"{_INVOICES}so-far/", invoices.draft, name="invoice-draft"),
    path(f"{_INVOICES}<slug:number>/", invoices.detail, name="invoice"),
    path(f"{_INVOICES}<slug:number>/pdf", invoices.paper, name="invoice-pdf"),
    path(f"{_INVOICES}<slug:number>/payment/", invoices.pay, name="invoice-pay"),
    path(f"{_INVOICES}<slug:number>/prove/", invoices.prove, name="invoice-prove"),
    path("prove/<slug:number>", invoices.find, name="invoice-find"),
    path(_BUDGETS, budgets.index, name="budgets"),
    path(f"{_BUDGETS}budgets.csv", budgets.export, name="budgets-csv"),
    path(f"{_BUDGETS}new/", budgets.create, name="budget-create"),
    path(f"{_BUDGETS}suggestions/", budgets.suggestions, name="budget-suggestions"),
    path(f"{_BUDGETS}<int:budget>/change/", budgets.change, name="budget-change"),
    path(f"{_BUDGETS}<int:budget>/archive/", budgets.archive, name="budget-archive"),
]
