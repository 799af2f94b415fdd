"""Pages of what people are told."""

from django.urls import path

from alerts.views import devices

app_name = "alerts"
urlpatterns = [
    path("accounts/notifications/", devices.devices, name="devices"),
    path("accounts/notifications/subscribe/", devices.subscribe, name="device-subscribe"),
    path("accounts/notifications/subscribe/state", devices.subscription_state, name="subscription-state"),
    path("accounts/notifications/<int:device>/remove/", devices.remove, name="device-remove"),
    path("accounts/notifications/<int:device>/test/", devices.test, name="device-test"),
]
