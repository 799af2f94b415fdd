"""Every address of pages and reading API; the edge's own are in metering/edge.py."""

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("allauth.urls")),
]
