from django.urls import path

from reports import connect, usage, views

app_name = "reports"
urlpatterns = [
    path("o/<slug:organization>/overview", views.overview, name="overview"),
    path("o/<slug:organization>/overview/series.csv", views.series_csv, name="series"),
    path("o/<slug:organization>/overview/recount", views.recount, name="recount"),
    path("o/<slug:organization>/overview/live", views.overview_live, name="overview-live"),
    path("o/<slug:organization>/overview/usage.csv", views.export, name="export"),
    path("o/<slug:organization>/<slug:page>/choose/<str:dimension>", views.choose, name="choose"),
    path("o/<slug:organization>/usage", usage.usage, name="usage"),
    path("o/<slug:organization>/usage/rows", usage.rows, name="usage-rows"),
    path("o/<slug:organization>/usage/breakdown.csv", usage.breakdown_file, name="usage-breakdown"),
    path("o/<slug:organization>/usage/trend.csv", usage.trend_file, name="usage-trend"),
    path("o/<slug:organization>/connect/", connect.connect, name="connect"),
    path("o/<slug:organization>/connect/live", connect.live, name="connect-live"),
]
