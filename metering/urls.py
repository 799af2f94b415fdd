"""Pages of this app, opened by OrganizationMiddleware. The reading API's addresses are in api_urls.py."""

from django.urls import path

from metering.views import estimate, imports, integrity, notes, prices, upstreams

app_name = "metering"

_IMPORT = "o/<slug:organization>/settings/import/"
_NOTES = "o/<slug:organization>/usage/notes/"
_UPSTREAMS = "o/<slug:organization>/settings/upstreams/"
_PRICES = "o/<slug:organization>/settings/prices/"

urlpatterns = [
    path(_NOTES, notes.index, name="notes"),
    path(f"{_NOTES}state", notes.state, name="notes-state"),
    path(_IMPORT, imports.index, name="imports"),
    path(f"{_IMPORT}<int:record>/", imports.detail, name="import"),
    path(f"{_IMPORT}<int:record>/start/", imports.start, name="import-start"),
    path(f"{_IMPORT}<int:record>/progress/", imports.progress, name="import-progress"),
    path(f"{_IMPORT}<int:record>/errors.csv", imports.problems, name="import-problems"),
    path(f"{_IMPORT}<int:record>/discard/", imports.discard, name="import-discard"),
    path(_UPSTREAMS, upstreams.index, name="upstreams"),
    path(f"{_UPSTREAMS}new/", upstreams.create, name="upstream-create"),
    path(f"{_UPSTREAMS}<int:upstream>/", upstreams.change, name="upstream"),
    path(f"{_UPSTREAMS}<int:upstream>/delete/", upstreams.delete, name="upstream-delete"),
    path(f"{_UPSTREAMS}<int:upstream>/act/", upstreams.act, name="upstream-act"),
    path(f"{_UPSTREAMS}<int:upstream>/test/", upstreams.test, name="upstream-test"),
    path(_PRICES, prices.index, name="prices"),
    path(f"{_PRICES}model/", prices.model, name="price"),
    path(f"{_PRICES}set/", prices.set_price, name="price-set"),
    path(f"{_PRICES}<int:version>/end/", prices.end, name="price-end"),
    path(f"{_PRICES}reprice/", prices.reprice_model, name="price-reprice"),
    path("o/<slug:organization>/estimate/", estimate.index, name="estimate"),
    path("o/<slug:organization>/integrity/", integrity.index, name="integrity"),
    path("o/<slug:organization>/integrity/prove/", integrity.prove, name="integrity-prove"),
]
