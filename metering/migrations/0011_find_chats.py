from django.db import migrations

# Words end at white space and at ASCII punctuation, so that any script keeps its letters. Each begins with whose it
# is: the index then tells organizations apart, however common a word. An id is one word, behind another sign.
WORDS = r"""
CREATE FUNCTION metering_chat_words(organization int, chat text, title text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(array_append(
        ARRAY(
            SELECT organization || ':' || left(word, 100)
            FROM regexp_split_to_table(lower(title), '[\s!-/:-@\[-`{-~]+') AS word WHERE word <> ''
        ),
        organization || '=' || left(lower(chat), 200)
    ))
$$;
CREATE FUNCTION metering_chat_query(organization int, wanted text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT concat_ws(' | ',
        (
            SELECT '(' || string_agg(format('''%s:%s'':*', organization, left(word, 100)), ' & ') || ')'
            FROM regexp_split_to_table(lower(wanted), '[\s!-/:-@\[-`{-~]+') AS word WHERE word <> ''
        ),
        format('''%s=%s'':*', organization, replace(replace(left(lower(wanted), 200), '\', '\\'), '''', ''''''))
    )::tsquery
$$;
"""

INDEX = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS metering_usage_chat_words ON metering_usage_chat
USING gin (metering_chat_words(organization_id, chat, title))
"""

# Row-level security keeps a search by words from using an index, because its operator might tell of rows it was shown
# (it is not leakproof). So the owner searches, after asking for the scope itself. A member or a team, when
# there is one, narrows it to chats they spoke in; of the newest `candidates` only, so that a common word stays cheap.
FIND = """
CREATE FUNCTION metering_find_chats(
    organization int, wanted text, only_member int, only_team int, candidates int, most int
) RETURNS TABLE (chat text, title text, last_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH found AS MATERIALIZED (
        SELECT c.chat, c.title, c.titled_at, c.first_at, c.last_at FROM metering_usage_chat AS c
        WHERE metering_chat_words(c.organization_id, c.chat, c.title) @@ metering_chat_query(organization, wanted)
            AND c.organization_id = organization AND c.requests <> 0
            AND (tokenledger_sees_all() OR organization = ANY (tokenledger_scope()))
        ORDER BY c.last_at DESC LIMIT candidates
    )
    SELECT f.chat, (array_agg(f.title ORDER BY f.titled_at DESC) FILTER (WHERE f.title IS NOT NULL))[1], max(f.last_at)
    FROM found AS f
    WHERE (only_member IS NULL AND only_team IS NULL) OR EXISTS (
        SELECT FROM metering_event AS e
        WHERE e.organization_id = organization AND e.chat = f.chat AND e.superseded_by IS NULL
            AND e.occurred_at BETWEEN f.first_at AND f.last_at
            AND (only_member IS NULL OR e.member_id = only_member) AND (only_team IS NULL OR e.team_id = only_team)
    )
    GROUP BY f.chat ORDER BY 3 DESC, 1 LIMIT most
$$;
REVOKE ALL ON FUNCTION metering_find_chats(int, text, int, int, int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION metering_find_chats(int, text, int, int, int, int) TO tokenledger_app;
"""


class Migration(migrations.Migration):
    """Chats are found by how words of their title, or their id, begin."""

    atomic = False
    dependencies = [("metering", "0010_files_and_latencies")]
    operations = [
        migrations.RunSQL(
            WORDS, "DROP FUNCTION metering_chat_words(int, text, text); DROP FUNCTION metering_chat_query(int, text)"
        ),
        migrations.RunSQL(INDEX, "DROP INDEX metering_usage_chat_words"),
        migrations.RunSQL(FIND, "DROP FUNCTION metering_find_chats(int, text, int, int, int, int)"),
    ]
