"""Part of reports.urls, and of its names."""

from django.urls import path

from reports.advice import pages

urlpatterns = [
    path("", pages.index, name="advice"),
    path("look", pages.look, name="advice-look"),
    path("<int:insight>/", pages.detail, name="insight"),
    path("<int:insight>/evidence.csv", pages.evidence, name="insight-evidence"),
    path("<int:insight>/dismiss", pages.dismiss, name="insight-dismiss"),
    path("<int:insight>/done", pages.done, name="insight-done"),
    path("<int:insight>/reopen", pages.reopen, name="insight-reopen"),
]
