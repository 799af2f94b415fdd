"""Pages of this app. Those below /o/<organization>/ are opened by OrganizationMiddleware."""

from django.urls import include, path

from accounts.views import audit, home, keys, members, organization, teams

app_name = "accounts"

settings = [
    path("", organization.settings, name="organization"),
    path("members/", members.index, name="members"),
    path("members/invite/", members.invite, name="member-invite"),
    path("members/<int:member>/", members.change, name="member"),
    path("members/<int:member>/remove/", members.remove, name="member-remove"),
    path("invitations/<int:invitation>/renew/", members.renew_invitation, name="invitation-renew"),
    path("invitations/<int:invitation>/revoke/", members.revoke_invitation, name="invitation-revoke"),
    path("teams/", teams.index, name="teams"),
    path("teams/new/", teams.create_team, name="team-create"),
    path("teams/<int:team>/", teams.team, name="team"),
    path("teams/<int:team>/change/", teams.change_team, name="team-change"),
    path("teams/<int:team>/delete/", teams.delete_team, name="team-delete"),
    path("teams/<int:team>/members/", teams.add_place, name="team-place-add"),
    path("teams/<int:team>/members/<int:place>/", teams.change_place, name="team-place"),
    path("departments/new/", teams.create_department, name="department-create"),
    path("departments/<int:department>/", teams.change_department, name="department"),
    path("departments/<int:department>/delete/", teams.delete_department, name="department-delete"),
    path("projects/new/", teams.create_project, name="project-create"),
    path("projects/<int:project>/", teams.change_project, name="project"),
    path("projects/<int:project>/archive/", teams.archive_project, name="project-archive"),
    path("keys/", keys.index, name="keys"),
    path("keys/new/", keys.create, name="key-create"),
    path("keys/<int:key>/", keys.change, name="key"),
    path("keys/<int:key>/rotate/", keys.rotate, name="key-rotate"),
    path("keys/<int:key>/revoke/", keys.revoke, name="key-revoke"),
    path("audit/", audit.index, name="audit"),
    path("audit/export/", audit.export, name="audit-export"),
]

urlpatterns = [
    path("", home.home, name="home"),
    path("organizations/new/", home.create, name="organization-create"),
    path("invitations/<str:token>/", home.invitation, name="invitation"),
    path("o/<slug:organization>/switch/", home.switch, name="switch"),
    path("o/<slug:organization>/leave/", members.leave, name="leave"),
    path("o/<slug:organization>/settings/", include(settings)),
]
