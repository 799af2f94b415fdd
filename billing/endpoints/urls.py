"""This app's part of /v1/."""

from django.urls import path

from billing.endpoints import plans

app_name = "billing-api"
urlpatterns = [
    path("plans", plans.PlansView.as_view(), name="plans"),
    path("subscription", plans.SubscriptionView.as_view(), name="subscription"),
]
