"""Part of reports.urls, and of its names."""

from django.urls import path

from reports.custom import pages, result_pages, saving, schedule_pages

urlpatterns = [
    path("", pages.index, name="reports"),
    path("new", pages.new, name="report-new"),
    path("run", pages.run, name="report-run"),
    path("save", saving.create, name="report-save"),
    path("<int:report>/", pages.detail, name="report"),
    path("<int:report>/change", saving.change, name="report-change"),
    path("<int:report>/replace", saving.replace, name="report-replace"),
    path("<int:report>/delete", saving.delete, name="report-delete"),
    path("<int:report>/schedules/new", schedule_pages.create, name="schedule-new"),
    path("schedules/<int:schedule>/", schedule_pages.change, name="schedule"),
    path("schedules/<int:schedule>/pause", schedule_pages.pause, name="schedule-pause"),
    path("schedules/<int:schedule>/delete", schedule_pages.delete, name="schedule-delete"),
    path("results/<int:result>/", result_pages.result, name="result"),
    path("results/<int:result>/file", result_pages.download, name="result-download"),
    path("results/<int:result>/cancel", result_pages.cancel, name="result-cancel"),
]
