"""Pages of what people are told."""

from django.urls import path

from alerts.views import devices, webhooks

app_name = "alerts"
_WEBHOOKS = "o/<slug:organization>/settings/webhooks/"
urlpatterns = [
    path("accounts/notifications/", devices.devices, name="devices"),
    path("accounts/notifications/subscribe/", devices.subscribe, name="device-subscribe"),
    path("accounts/notifications/subscribe/state", devices.subscription_state, name="subscription-state"),
    path("accounts/notifications/<int:device>/remove/", devices.remove, name="device-remove"),
    path("accounts/notifications/<int:device>/test/", devices.test, name="device-test"),
    path(_WEBHOOKS, webhooks.index, name="webhooks"),
    path(f"{_WEBHOOKS}new/", webhooks.create, name="webhook-create"),
    path(f"{_WEBHOOKS}<int:webhook>/", webhooks.detail, name="webhook"),
    path(f"{_WEBHOOKS}<int:webhook>/change/", webhooks.change, name="webhook-change"),
    path(f"{_WEBHOOKS}<int:webhook>/rotate/", webhooks.rotate, name="webhook-rotate"),
    path(f"{_WEBHOOKS}<int:webhook>/delete/", webhooks.delete, name="webhook-delete"),
    path(f"{_WEBHOOKS}<int:webhook>/act", webhooks.act, name="webhook-act"),
    path(f"{_WEBHOOKS}<int:webhook>/replay", webhooks.replay, name="webhook-replay"),
    path(f"{_WEBHOOKS}<int:webhook>/messages/<int:delivery>/", webhooks.delivery, name="webhook-delivery"),
    path(
        f"{_WEBHOOKS}<int:webhook>/messages/<int:delivery>/replay",
        webhooks.delivery_replay,
        name="webhook-delivery-replay",
    ),
]
