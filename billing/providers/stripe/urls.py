from django.urls import path

from billing.providers.stripe import views

app_name = "stripe"
urlpatterns = [
    path("o/<slug:organization>/billing/card", views.card, name="card"),
    path("o/<slug:organization>/billing/card/return", views.card_return, name="card-return"),
    path("o/<slug:organization>/billing/portal", views.portal, name="portal"),
    path("stripe/webhook", views.webhook, name="webhook"),
]
