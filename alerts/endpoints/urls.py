"""This app's part of /v1/."""

from django.urls import path

from alerts.endpoints import alerts, rules, webhook_deliveries, webhooks

app_name = "alerts-api"
urlpatterns = [
    path("webhooks", webhooks.WebhooksView.as_view(), name="webhooks"),
    path("webhooks/events", webhooks.EventsView.as_view(), name="webhook-events"),
    path("webhooks/<int:webhook>", webhooks.WebhookView.as_view(), name="webhook"),
    path("webhooks/<int:webhook>/test", webhook_deliveries.TestView.as_view(), name="webhook-test"),
    path("webhooks/<int:webhook>/rotate", webhooks.RotationView.as_view(), name="webhook-rotate"),
    path("webhooks/<int:webhook>/replay", webhook_deliveries.ReplayView.as_view(), name="webhook-replay"),
    path("webhooks/<int:webhook>/deliveries", webhook_deliveries.DeliveriesView.as_view(), name="webhook-deliveries"),
    path(
        "webhooks/<int:webhook>/deliveries/<int:delivery>",
        webhook_deliveries.DeliveryView.as_view(),
        name="webhook-delivery",
    ),
    path(
        "webhooks/<int:webhook>/deliveries/<int:delivery>/replay",
        webhook_deliveries.DeliveryReplayView.as_view(),
        name="webhook-delivery-replay",
    ),
    path("alerts", alerts.AlertsView.as_view(), name="alerts"),
    path("alerts/<int:alert>", alerts.AlertView.as_view(), name="alert"),
    path("alerts/<int:alert>/acknowledge", alerts.AcknowledgeView.as_view(), name="alert-acknowledge"),
    path("alerts/<int:alert>/snooze", alerts.SnoozeView.as_view(), name="alert-snooze"),
    path("alerts/<int:alert>/resolve", alerts.ResolveView.as_view(), name="alert-resolve"),
    path("alert-rules", rules.RulesView.as_view(), name="alert-rules"),
    path("alert-rules/preview", rules.RulePreviewView.as_view(), name="alert-rule-preview"),
    path("alert-rules/<int:rule>", rules.RuleView.as_view(), name="alert-rule"),
]
