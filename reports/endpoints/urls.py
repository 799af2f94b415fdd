"""This app's part of /v1/."""

from django.urls import path

from reports.endpoints import forecast, insights

app_name = "reports-api"
urlpatterns = [
    path("forecast", forecast.ForecastView.as_view(), name="forecast"),
    path("insights", insights.InsightsView.as_view(), name="insights"),
    path("insights/<int:insight>", insights.InsightView.as_view(), name="insight"),
    path("insights/<int:insight>/evidence", insights.InsightEvidenceView.as_view(), name="insight-evidence"),
    path("insights/<int:insight>/dismiss", insights.DismissView.as_view(), name="insight-dismiss"),
    path("insights/<int:insight>/done", insights.DoneView.as_view(), name="insight-done"),
    path("insights/<int:insight>/reopen", insights.ReopenView.as_view(), name="insight-reopen"),
]
