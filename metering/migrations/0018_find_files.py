from django.db import migrations

# Names and ids of files are found by the words of migration 0017, as titles and ids of chats are.
INDEX = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS metering_usage_file_words ON metering_usage_file
USING gin (metering_chat_words(organization_id, month, file, name)) WHERE file <> ''
"""

# The owner searches, for the reason told in migration 0011, after asking for the scope itself. Month after month, the
# newest first, until there are enough. A member or a team, when there is one, must have used a file in one of its
# chats (or outside of chats): each is looked up by itself, of `candidates` at most.
FIND = """
CREATE FUNCTION metering_find_files(
    organization int, wanted text, only_member int, only_team int, candidates int, most int
) RETURNS TABLE (file text, name text, last_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    is_somebodys boolean := only_member IS NOT NULL OR only_team IS NOT NULL;
    looked_at date;
    found_file record;
    seen text[] := '{}';
    candidate int := 0;
BEGIN
    IF NOT (tokenledger_sees_all() OR organization = ANY (tokenledger_scope())) THEN
        RETURN;
    END IF;
    SELECT max(f.month) INTO looked_at FROM metering_usage_file AS f WHERE f.organization_id = organization;
    WHILE looked_at IS NOT NULL AND cardinality(seen) < most AND candidate < candidates LOOP
        FOR found_file IN
            SELECT f.file, CASE WHEN is_somebodys THEN f.chat END AS chat, min(f.first_at) AS first_at,
                max(f.last_at) AS last_at
            FROM metering_usage_file AS f
            WHERE metering_chat_words(f.organization_id, f.month, f.file, f.name)
                    @@ metering_chat_query(organization, looked_at, wanted)
                AND f.file <> '' AND f.organization_id = organization AND f.month = looked_at AND f.requests <> 0
            GROUP BY 1, 2 ORDER BY 4 DESC, 1 LIMIT candidates - candidate
        LOOP
            candidate := candidate + 1;
            CONTINUE WHEN found_file.file = ANY (seen);
            IF is_somebodys THEN
                PERFORM FROM metering_event AS e
                WHERE e.organization_id = organization AND e.superseded_by IS NULL AND e.detail ? 'files'
                    AND e.chat IS NOT DISTINCT FROM nullif(found_file.chat, '')
                    AND e.occurred_at BETWEEN found_file.first_at AND found_file.last_at
                    AND e.detail @> jsonb_build_object('files', jsonb_build_array(jsonb_build_object('id', found_file.file)))
                    AND (only_member IS NULL OR e.member_id = only_member)
                    AND (only_team IS NULL OR e.team_id = only_team)
                LIMIT 1;
                CONTINUE WHEN NOT FOUND;
            END IF;
            seen := seen || found_file.file;
            file := found_file.file;
            last_at := found_file.last_at;
            SELECT f.name INTO name FROM metering_usage_file AS f
            WHERE f.organization_id = organization AND f.month = looked_at AND f.file = found_file.file
                AND f.name IS NOT NULL
            ORDER BY f.named_at DESC, f.name DESC LIMIT 1;
            RETURN NEXT;
            EXIT WHEN cardinality(seen) >= most;
        END LOOP;
        SELECT max(f.month) INTO looked_at FROM metering_usage_file AS f
        WHERE f.organization_id = organization AND f.month < looked_at;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION metering_find_files(int, text, int, int, int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION metering_find_files(int, text, int, int, int, int) TO tokenledger_app;
"""


class Migration(migrations.Migration):
    """Files are found by how words of their name, or their id, begin, in the newest months first."""

    atomic = False
    dependencies = [("metering", "0017_find_chats_by_month")]
    operations = [
        migrations.RunSQL(INDEX, "DROP INDEX metering_usage_file_words"),
        migrations.RunSQL(FIND, "DROP FUNCTION metering_find_files(int, text, int, int, int, int)"),
    ]
