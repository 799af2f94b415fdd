"""Part of reports.urls, and of its names."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
