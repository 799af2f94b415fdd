"""Part of reports.urls, and of its names."""

from django.urls import path

from reports.monthly import pages

urlpatterns = [
    path("", pages.index, name="monthly"),
    path("make", pages.make, name="monthly-make"),
    path("<int:monthly>.pdf", pages.download, name="monthly-file"),
]
