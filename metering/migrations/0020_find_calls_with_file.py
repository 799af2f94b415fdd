from django.db import migrations

# Of calls with files alone, as metering_event_with_files: those without cost nothing more to write.
INDEX = """
CREATE INDEX metering_event_files ON metering_event USING gin ((detail -> 'files') jsonb_path_ops) WHERE detail ? 'files'
"""

# Row-level security keeps a search inside JSON from using an index, because its operator might tell of rows it was
# shown (it is not leakproof). So the owner searches, in the scope alone; whoever asks joins what is found by its key.
# It is planned each time: without knowing the times a plan would rather read all calls with files.
FIND = """
CREATE FUNCTION metering_calls_with_file(wanted text[], from_at timestamptz, to_at timestamptz)
RETURNS TABLE (organization_id int, occurred_at timestamptz, key uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1000 SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY EXECUTE $find$
        SELECT e.organization_id, e.occurred_at, e.key
        FROM unnest($1) AS file JOIN metering_event AS e
            ON e.detail -> 'files' @> jsonb_build_array(jsonb_build_object('id', file))
        WHERE e.detail ? 'files' AND e.occurred_at >= $2 AND e.occurred_at < $3
            AND ((SELECT tokenledger_sees_all()) OR e.organization_id = ANY ((SELECT tokenledger_scope())::int[]))
    $find$ USING wanted, from_at, to_at;
END $$;
REVOKE ALL ON FUNCTION metering_calls_with_file(text[], timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION metering_calls_with_file(text[], timestamptz, timestamptz) TO tokenledger_app;
"""


class Migration(migrations.Migration):
    """The calls that have a file are found by it."""

    dependencies = [("metering", "0019_payment_limit")]
    operations = [
        migrations.RunSQL(INDEX, "DROP INDEX metering_event_files"),
        migrations.RunSQL(FIND, "DROP FUNCTION metering_calls_with_file(text[], timestamptz, timestamptz)"),
    ]
