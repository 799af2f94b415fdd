"""This app's part of /v1/."""

from django.urls import path

from billing.endpoints import budgets, invoices, plans, wallet

app_name = "billing-api"
urlpatterns = [
    path("plans", plans.PlansView.as_view(), name="plans"),
    path("budgets", budgets.BudgetsView.as_view(), name="budgets"),
    path("budgets/suggestions", budgets.SuggestionsView.as_view(), name="budget-suggestions"),
    path("budgets/<int:budget>", budgets.BudgetView.as_view(), name="budget"),
    path("credits", wallet.CreditsView.as_view(), name="credits"),
    path("credits/entries", wallet.CreditEntriesView.as_view(), name="credit-entries"),
    path("invoices", invoices.InvoicesView.as_view(), name="invoices"),
    path("invoices/draft", invoices.DraftView.as_view(), name="invoice-draft"),
    path("invoices/<slug:number>", invoices.InvoiceView.as_view(), name="invoice"),
    path("invoices/<slug:number>/pdf", invoices.PaperView.as_view(), name="invoice-pdf"),
    path("subscription", plans.SubscriptionView.as_view(), name="subscription"),
]
