"""Every address of pages and reading API; the edge's own are in metering/edge.py."""

from django.urls import include, path, re_path

from core.error_answers import unknown_endpoint

urlpatterns = [
    path("", include("accounts.urls")),
    path("", include("reports.urls")),
    path("", include("reports.operator.urls")),
    path("", include("alerts.urls")),
    path("accounts/", include("allauth.urls")),
    path("v1/", include("accounts.endpoints.urls")),
    path("v1/", include("billing.endpoints.urls")),
    path("v1/", include("alerts.endpoints.urls")),
    path("v1/", include("reports.endpoints.urls")),
    path("", include("metering.api_urls")),
    path("", include("metering.urls")),
    path("", include("billing.urls")),
    path("", include("billing.providers.stripe.urls")),
    # What no pattern above has taken: programs get JSON, whatever they ask for.
    re_path(r"^(?:v1|api)/", unknown_endpoint),
]

handler400 = "core.error_answers.bad_request"
handler403 = "core.error_answers.forbidden"
handler404 = "core.error_answers.not_found"
handler500 = "core.error_answers.failed"
