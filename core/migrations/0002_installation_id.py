from django.db import migrations

# A function, because it is the database's own and goes wherever it is copied, dumped or restored to.
INSTALLATION_ID = """
DO $$
BEGIN
    EXECUTE format(
        'CREATE FUNCTION tokenledger_installation_id() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS %L',
        format('SELECT %L::uuid', gen_random_uuid())
    );
END $$;
"""


class Migration(migrations.Migration):
    """What tells this ledger from any other: files beside the database name organizations by their numbers."""

    dependencies = [("core", "0001_application_role")]
    operations = [migrations.RunSQL(INSTALLATION_ID, "DROP FUNCTION tokenledger_installation_id();")]
