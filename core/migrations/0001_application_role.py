from django.db import migrations

ROLE = """
DO $$
BEGIN
    CREATE ROLE tokenledger_app NOLOGIN NOSUPERUSER NOBYPASSRLS;
EXCEPTION
    -- Another database of this cluster made it before, or is making it now.
    WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$
BEGIN
    -- The owner must be a member to assume it; a superuser already may.
    EXECUTE format('GRANT tokenledger_app TO %I', current_user);
EXCEPTION
    WHEN unique_violation OR internal_error OR invalid_grant_operation THEN NULL;
END $$;
"""

SCOPE = """
CREATE FUNCTION tokenledger_scope() RETURNS int[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN value IN ('', '*') THEN '{}'::int[] ELSE coalesce(value, '{}')::int[] END
    FROM (SELECT current_setting('tokenledger.organizations', true) AS value) AS setting
$$;
CREATE FUNCTION tokenledger_sees_all() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(current_setting('tokenledger.organizations', true) = '*', false)
$$;
"""


class Migration(migrations.Migration):
    """The role everyday work runs as, and the functions row-level security asks whose rows it may show."""

    initial = True
    operations = [
        migrations.RunSQL(ROLE, migrations.RunSQL.noop),
        migrations.RunSQL(SCOPE, "DROP FUNCTION tokenledger_scope(); DROP FUNCTION tokenledger_sees_all();"),
    ]
