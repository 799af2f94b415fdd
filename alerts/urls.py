"""Pages of one's own account, below /accounts/notifications/."""

from django.urls import path

from alerts import views

app_name = "alerts"
urlpatterns = [
    path("", views.devices, name="devices"),
    path("subscribe/", views.subscribe, name="device-subscribe"),
    path("subscribe/state", views.subscription_state, name="subscription-state"),
    path("<int:device>/remove/", views.remove, name="device-remove"),
    path("<int:device>/test/", views.test, name="device-test"),
]
