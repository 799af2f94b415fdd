"""The operator's area. Nothing here is an organization's: names of organizations are looked up, never entered."""

from django.urls import path

from reports.operator import overview

app_name = "operator"
urlpatterns = [
    path("operator/", overview.overview, name="overview"),
    path("operator/series.csv", overview.series_csv, name="series"),
    path("operator/recount", overview.recount, name="recount"),
    path("operator/by/<slug:dimension>", overview.by, name="by"),
    path("operator/by/<slug:dimension>.csv", overview.by_csv, name="by-csv"),
]
