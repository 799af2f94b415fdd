"""Part of reports.urls, and of its names."""

from django.urls import path

from reports.forecasting import views

urlpatterns = [
    path("", views.forecast, name="forecast"),
    path("trials.csv", views.forecast_file, name="forecast-file"),
]
