"""This app's part of /v1/."""

from django.urls import path

from billing.endpoints import plans, wallet

app_name = "billing-api"
urlpatterns = [
    path("plans", plans.PlansView.as_view(), name="plans"),
    path("credits", wallet.CreditsView.as_view(), name="credits"),
    path("credits/entries", wallet.CreditEntriesView.as_view(), name="credit-entries"),
    path("subscription", plans.SubscriptionView.as_view(), name="subscription"),
]
