"""Part of reports.urls, and of its names."""

from django.urls import path

from reports.custom import result_pages

urlpatterns = [
    path("results/<int:result>/", result_pages.result, name="result"),
    path("results/<int:result>/file", result_pages.download, name="result-download"),
    path("results/<int:result>/cancel", result_pages.cancel, name="result-cancel"),
]
