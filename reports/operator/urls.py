"""The operator's area. Nothing here is an organization's: names of organizations are looked up, never entered."""

from django.urls import path

from reports.operator import billing, health, impersonation, organizations, overview, prices

app_name = "operator"
urlpatterns = [
    path("operator/", overview.overview, name="overview"),
    path("operator/series.csv", overview.series_csv, name="series"),
    path("operator/recount", overview.recount, name="recount"),
    path("operator/by/<slug:dimension>", overview.by, name="by"),
    path("operator/by/<slug:dimension>.csv", overview.by_csv, name="by-csv"),
    path("operator/organizations/", organizations.index, name="organizations"),
    path("operator/organizations-found", organizations.found, name="organizations-found"),
    path("operator/organizations/<slug:slug>/", organizations.detail, name="organization"),
    path(
        "operator/organizations/<slug:slug>/members/<int:member>/place/",
        impersonation.begin,
        name="impersonation-begin",
    ),
    path("operator/prices/", prices.index, name="prices"),
    path("operator/prices/model/", prices.model, name="price"),
    path("operator/prices/set/", prices.set_price, name="price-set"),
    path("operator/prices/sync/", prices.sync, name="price-sync"),
    path("operator/billing/", billing.index, name="billing"),
    path("operator/billing/rates/new/", billing.add_tax_rate, name="tax-rate-add"),
    path("operator/billing/rates/<int:rate>/end/", billing.end_tax_rate, name="tax-rate-end"),
    path("operator/organizations/<slug:slug>/tax/", billing.decide_tax, name="tax-decision"),
    path("operator/health/", health.health, name="health"),
    path("operator/queue/", health.tasks, name="queue"),
    path("operator/place/end/", impersonation.end, name="impersonation-end"),
]
