"""This app's part of /v1/."""

from django.urls import path

from accounts.endpoints import audit, keys, members, teams

app_name = "accounts-api"
urlpatterns = [
    path("keys", keys.KeysView.as_view(), name="keys"),
    path("keys/<int:key>", keys.KeyView.as_view(), name="key"),
    path("keys/<int:key>/rotate", keys.KeyRotationView.as_view(), name="key-rotate"),
    path("members", members.MembersView.as_view(), name="members"),
    path("members/<int:member>", members.MemberView.as_view(), name="member"),
    path("invitations", members.InvitationsView.as_view(), name="invitations"),
    path("invitations/<int:invitation>", members.InvitationView.as_view(), name="invitation"),
    path("teams", teams.TeamsView.as_view(), name="teams"),
    path("teams/<slug:team>", teams.TeamView.as_view(), name="team"),
    path("projects", teams.ProjectsView.as_view(), name="projects"),
    path("projects/<slug:project>", teams.ProjectView.as_view(), name="project"),
    path("audit", audit.AuditView.as_view(), name="audit"),
]
