from django.db import migrations

from core.row_security import announce, protect, protect_append_only

DIRECTORY = "tokenledger_directory"


class Migration(migrations.Migration):
    """Whose rows these are is the database's business too; and processes with a copy hear of changes."""

    dependencies = [("accounts", "0001_people_and_keys")]
    operations = [
        protect("accounts_organization", column="id"),
        protect("accounts_department"),
        protect("accounts_team"),
        protect("accounts_project"),
        protect("accounts_membership"),
        protect("accounts_teammembership"),
        protect("accounts_invitation"),
        protect("accounts_apikey"),
        protect_append_only("accounts_auditentry"),
        announce("accounts_organization", DIRECTORY, "timezone, slug", organization="id"),
        announce("accounts_department", DIRECTORY, "name"),
        announce("accounts_team", DIRECTORY, "department_id"),
        announce("accounts_project", DIRECTORY, "slug, team_id, archived_at"),
        announce("accounts_membership", DIRECTORY, "external_id, ended_at"),
        announce("accounts_teammembership", DIRECTORY, "team_id, membership_id"),
        announce(
            "accounts_apikey",
            DIRECTORY,
            "digest, scopes, project_id, member_id, requests_per_minute, tokens_per_minute, expires_at, revoked_at",
        ),
    ]
