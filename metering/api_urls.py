"""The addresses of the reading API. POST /v1/events is the edge's (metering/edge.py)."""

from django.urls import path

from metering.pricing.api import PricesView
from metering.query.api import ModelsView, QueryView, UsageView
from metering.query.export_api import ExportView
from metering.query.summary_api import HourlyView, SummaryView

app_name = "metering-api"
urlpatterns = [
    path("v1/usage", UsageView.as_view(), name="usage"),
    path("v1/usage/models", ModelsView.as_view(), name="usage-models"),
    path("v1/usage/query", QueryView.as_view(), name="usage-query"),
    path("v1/usage/export", ExportView.as_view(), name="usage-export"),
    path("v1/prices", PricesView.as_view(), name="prices"),
    path("api/usage/summary", SummaryView.as_view(), name="summary"),
    path("api/usage/hourly", HourlyView.as_view(), name="hourly"),
    path("api/usage/export", ExportView.as_view(), name="summary-export"),
]
