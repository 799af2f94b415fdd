"""This app's part of /v1/."""

from django.urls import path

from reports.endpoints import forecast

app_name = "reports-api"
urlpatterns = [
    path("forecast", forecast.ForecastView.as_view(), name="forecast"),
]
