from django.urls import path

from billing.providers.stripe import views

app_name = "stripe"
urlpatterns = [
    path("o/<slug:organization>/billing/card", views.card, name="card"),
    path("o/<slug:organization>/billing/card/return", views.card_return, name="card-return"),
    path("o/<slug:organization>/billing/credits/<int:top_up>/checkout", views.credits_pay, name="credits-pay"),
    path("o/<slug:organization>/billing/credits/return", views.credits_return, name="credits-return"),
    path("o/<slug:organization>/billing/portal", views.portal, name="portal"),
    path("stripe/webhook", views.webhook, name="webhook"),
]
