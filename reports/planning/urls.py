"""Part of reports.urls, and of its names."""

from django.urls import path

from reports.planning import views

urlpatterns = [
    path("", views.planning, name="planning"),
    path("plan.csv", views.planning_file, name="planning-file"),
    path("budgets", views.planning_apply, name="planning-apply"),
]
