"""The addresses of the reading API. POST /v1/events is the edge's (metering/edge.py)."""

from django.urls import path

from core.health import healthz, readyz
from metering.gateway.upstreams_api import UpstreamsView, UpstreamView
from metering.pricing.api import PricesView
from metering.query.api import ModelsView, QueryView, UsageView
from metering.query.chats_api import ChatsView, ChatView
from metering.query.costs_api import ComparisonView, CostsView
from metering.query.events_api import EventsView, EventView, ReceiptView
from metering.query.export_api import ExportView
from metering.query.files_api import FilesView, FileView
from metering.query.focus_api import FocusSchemaView, FocusView
from metering.query.insights_api import EfficiencyView, PatternsView
from metering.query.openapi import docs, openapi_json
from metering.query.summary_api import HourlyView, SummaryView

app_name = "metering-api"
urlpatterns = [
    path("v1/usage", UsageView.as_view(), name="usage"),
    path("v1/usage/models", ModelsView.as_view(), name="usage-models"),
    path("v1/usage/query", QueryView.as_view(), name="usage-query"),
    path("v1/usage/costs", CostsView.as_view(), name="usage-costs"),
    path("v1/usage/efficiency", EfficiencyView.as_view(), name="usage-efficiency"),
    path("v1/usage/patterns", PatternsView.as_view(), name="usage-patterns"),
    path("v1/usage/comparison", ComparisonView.as_view(), name="usage-comparison"),
    path("v1/usage/export", ExportView.as_view(), name="usage-export"),
    path("v1/usage/focus", FocusView.as_view(), name="usage-focus"),
    path("v1/usage/focus/schema", FocusSchemaView.as_view(), name="usage-focus-schema"),
    path("v1/events", EventsView.as_view(), name="events"),
    # An id may contain slashes, so the receipt comes first.
    path("v1/events/<path:event_id>/receipt", ReceiptView.as_view(), name="event-receipt"),
    path("v1/events/<path:event_id>", EventView.as_view(), name="event"),
    path("v1/chats", ChatsView.as_view(), name="chats"),
    path("v1/chats/<path:chat_id>", ChatView.as_view(), name="chat"),
    path("v1/files", FilesView.as_view(), name="files"),
    path("v1/files/<path:file_id>", FileView.as_view(), name="file"),
    path("v1/upstreams", UpstreamsView.as_view(), name="upstreams"),
    path("v1/upstreams/<int:upstream>", UpstreamView.as_view(), name="upstream"),
    path("v1/prices", PricesView.as_view(), name="prices"),
    path("api/usage/summary", SummaryView.as_view(), name="summary"),
    path("api/usage/hourly", HourlyView.as_view(), name="hourly"),
    path("api/usage/export", ExportView.as_view(), name="summary-export"),
    path("v1/openapi.json", openapi_json, name="openapi"),
    path("v1/docs", docs, name="docs"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
]
