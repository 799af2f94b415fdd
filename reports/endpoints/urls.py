"""This app's part of /v1/."""

from django.urls import URLPattern

app_name = "reports-api"
urlpatterns: list[URLPattern] = []
