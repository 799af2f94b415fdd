from django.urls import path

from reports import calls, chats, connect, installed, model_analytics, teams, usage, views
from reports.saved import pages as saved
from reports.search import pages as search

app_name = "reports"
urlpatterns = [
    path("manifest.webmanifest", installed.manifest, name="manifest"),
    path("sw.js", installed.worker, name="worker"),
    path("offline", installed.offline, name="offline"),
    path("start", installed.start, name="start"),
    path("o/<slug:organization>/quick", installed.quick, name="quick"),
    path("o/<slug:organization>/quick/live", installed.quick_live, name="quick-live"),
    path("o/<slug:organization>/quick/stream", installed.quick_stream, name="quick-stream"),
    path("o/<slug:organization>/overview", views.overview, name="overview"),
    path("o/<slug:organization>/overview/series.csv", views.series_csv, name="series"),
    path("o/<slug:organization>/overview/recount", views.recount, name="recount"),
    path("o/<slug:organization>/overview/live", views.overview_live, name="overview-live"),
    path("o/<slug:organization>/overview/stream", views.overview_stream, name="overview-stream"),
    path("o/<slug:organization>/overview/usage.csv", views.export, name="export"),
    path("o/<slug:organization>/<slug:page>/choose/<str:dimension>", views.choose, name="choose"),
    path("o/<slug:organization>/chats/", chats.chats, name="chats"),
    path("o/<slug:organization>/chats/list.csv", chats.chats_csv, name="chats-csv"),
    # An id may be any text: below a word of its own it is taken for nothing else.
    path("o/<slug:organization>/chats/id/<path:chat_id>", chats.chat, name="chat"),
    path("o/<slug:organization>/calls/", calls.calls, name="calls"),
    path("o/<slug:organization>/calls/id/<path:event_id>", calls.call, name="call"),
    path("o/<slug:organization>/usage", usage.usage, name="usage"),
    path("o/<slug:organization>/usage/rows", usage.rows, name="usage-rows"),
    path("o/<slug:organization>/usage/breakdown.csv", usage.breakdown_file, name="usage-breakdown"),
    path("o/<slug:organization>/usage/trend.csv", usage.trend_file, name="usage-trend"),
    path("o/<slug:organization>/models", model_analytics.models, name="models"),
    path("o/<slug:organization>/", saved.land, name="landing"),
    path("o/<slug:organization>/views/", saved.index, name="views"),
    path("o/<slug:organization>/views/new", saved.create, name="view-create"),
    path("o/<slug:organization>/views/start", saved.start, name="view-start"),
    path("o/<slug:organization>/views/<int:view>/", saved.change, name="view"),
    path("o/<slug:organization>/views/<int:view>/replace", saved.replace, name="view-replace"),
    path("o/<slug:organization>/views/<int:view>/delete", saved.delete, name="view-delete"),
    path("o/<slug:organization>/search", search.search, name="search"),
    path("o/<slug:organization>/search/options", search.options, name="search-options"),
    path("o/<slug:organization>/teams/", teams.teams, name="teams"),
    path("o/<slug:organization>/teams/list.csv", teams.teams_file, name="teams-csv"),
    path("o/<slug:organization>/teams/trend.csv", teams.trend_file, name="teams-trend"),
    path("o/<slug:organization>/teams/cost-centers.csv", teams.cost_centers, name="cost-centers"),
    path("o/<slug:organization>/connect/", connect.connect, name="connect"),
    path("o/<slug:organization>/connect/live", connect.live, name="connect-live"),
]
