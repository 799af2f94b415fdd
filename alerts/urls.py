"""Pages of what people are told."""

from django.urls import path

from alerts.views import alerts, chat, devices, inbox, preferences, rules, unsubscribe, webhooks

app_name = "alerts"
_WEBHOOKS = "o/<slug:organization>/settings/webhooks/"
urlpatterns = [
    path("accounts/notifications/", devices.devices, name="devices"),
    path("accounts/notifications/subscribe/", devices.subscribe, name="device-subscribe"),
    path("accounts/notifications/subscribe/state", devices.subscription_state, name="subscription-state"),
    path("accounts/notifications/<int:device>/remove/", devices.remove, name="device-remove"),
    path("accounts/notifications/<int:device>/test/", devices.test, name="device-test"),
    path("o/<slug:organization>/inbox/", inbox.index, name="inbox"),
    path("o/<slug:organization>/inbox/rows", inbox.rows, name="inbox-rows"),
    path("o/<slug:organization>/inbox/count", inbox.count, name="inbox-count"),
    path("o/<slug:organization>/inbox/stream", inbox.stream, name="inbox-stream"),
    path("o/<slug:organization>/inbox/mark", inbox.mark, name="inbox-mark"),
    path("o/<slug:organization>/inbox/<int:notice>/", inbox.follow, name="inbox-follow"),
    path("o/<slug:organization>/notifications/", preferences.choose, name="preferences"),
    path("o/<slug:organization>/notifications/reset", preferences.reset, name="preferences-reset"),
    path("o/<slug:organization>/notifications/hours/", preferences.when, name="hours"),
    path("unsubscribe/<str:token>/", unsubscribe.unsubscribe, name="unsubscribe"),
    path("o/<slug:organization>/settings/channels/", chat.index, name="channels"),
    path("o/<slug:organization>/settings/channels/new/", chat.create, name="channel-create"),
    path("o/<slug:organization>/settings/channels/<int:channel>/", chat.change, name="channel"),
    path("o/<slug:organization>/settings/channels/<int:channel>/delete/", chat.delete, name="channel-delete"),
    path("o/<slug:organization>/settings/channels/<int:channel>/act", chat.act, name="channel-act"),
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
    path("o/<slug:organization>/alerts/", alerts.index, name="alerts"),
    path("o/<slug:organization>/alerts/<int:alert>/", alerts.detail, name="alert"),
    path("o/<slug:organization>/alerts/<int:alert>/acknowledge", alerts.acknowledge, name="alert-acknowledge"),
    path("o/<slug:organization>/alerts/<int:alert>/snooze", alerts.snooze, name="alert-snooze"),
    path("o/<slug:organization>/alerts/<int:alert>/resolve", alerts.resolve, name="alert-resolve"),
    path("o/<slug:organization>/alerts/rules/", rules.index, name="rules"),
    path("o/<slug:organization>/alerts/rules/new/", rules.create, name="rule-create"),
    path("o/<slug:organization>/alerts/rules/preview", rules.show_preview, name="rule-preview"),
    path("o/<slug:organization>/alerts/rules/presets/<slug:name>", rules.add_preset, name="rule-preset"),
    path("o/<slug:organization>/alerts/rules/<int:rule>/", rules.detail, name="rule"),
    path("o/<slug:organization>/alerts/rules/<int:rule>/change/", rules.change, name="rule-change"),
    path("o/<slug:organization>/alerts/rules/<int:rule>/switch", rules.switch, name="rule-switch"),
    path("o/<slug:organization>/alerts/rules/<int:rule>/remove/", rules.archive, name="rule-archive"),
]
