from django.db import migrations

# As before, and each word begins with its month, too: the newest are looked for first, and a common word stays cheap.
WORDS = r"""
CREATE FUNCTION metering_chat_words(organization int, month date, chat text, title text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(array_append(
        ARRAY(
            SELECT organization || '.' || (month - date '2000-01-01') || ':' || left(word, 100)
            FROM regexp_split_to_table(lower(title), '[\s!-/:-@\[-`{-~]+') AS word WHERE word <> ''
        ),
        organization || '.' || (month - date '2000-01-01') || '=' || left(lower(chat), 200)
    ))
$$;
CREATE FUNCTION metering_chat_query(organization int, month date, wanted text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT concat_ws(' | ',
        (
            SELECT '(' || string_agg(format('''%s.%s:%s'':*', organization, month - date '2000-01-01', left(word, 100)), ' & ') || ')'
            FROM regexp_split_to_table(lower(wanted), '[\s!-/:-@\[-`{-~]+') AS word WHERE word <> ''
        ),
        format('''%s.%s=%s'':*', organization, month - date '2000-01-01', replace(replace(left(lower(wanted), 200), '\', '\\'), '''', ''''''))
    )::tsquery
$$;
"""

INDEX = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS metering_usage_chat_words_by_month ON metering_usage_chat
USING gin (metering_chat_words(organization_id, month, chat, title))
"""

# Month after month, the newest first, until there are enough. A member or a team, when there is one, must have spoken
# in a chat: each is looked up by itself, of `candidates` at most.
FIND = """
CREATE OR REPLACE FUNCTION metering_find_chats(
    organization int, wanted text, only_member int, only_team int, candidates int, most int
) RETURNS TABLE (chat text, title text, last_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    looked_at date;
    found_chat record;
    seen text[] := '{}';
    candidate int := 0;
BEGIN
    IF NOT (tokenledger_sees_all() OR organization = ANY (tokenledger_scope())) THEN
        RETURN;
    END IF;
    SELECT max(c.month) INTO looked_at FROM metering_usage_chat AS c WHERE c.organization_id = organization;
    WHILE looked_at IS NOT NULL AND cardinality(seen) < most AND candidate < candidates LOOP
        FOR found_chat IN
            SELECT c.chat, c.title, c.first_at, c.last_at FROM metering_usage_chat AS c
            WHERE metering_chat_words(c.organization_id, c.month, c.chat, c.title)
                    @@ metering_chat_query(organization, looked_at, wanted)
                AND c.organization_id = organization AND c.month = looked_at AND c.requests <> 0
            ORDER BY c.last_at DESC, c.chat LIMIT candidates - candidate
        LOOP
            candidate := candidate + 1;
            CONTINUE WHEN found_chat.chat = ANY (seen);
            IF only_member IS NOT NULL OR only_team IS NOT NULL THEN
                PERFORM FROM metering_event AS e
                WHERE e.organization_id = organization AND e.chat = found_chat.chat AND e.superseded_by IS NULL
                    AND e.occurred_at BETWEEN found_chat.first_at AND found_chat.last_at
                    AND (only_member IS NULL OR e.member_id = only_member)
                    AND (only_team IS NULL OR e.team_id = only_team)
                LIMIT 1;
                CONTINUE WHEN NOT FOUND;
            END IF;
            seen := seen || found_chat.chat;
            chat := found_chat.chat;
            title := found_chat.title;
            last_at := found_chat.last_at;
            RETURN NEXT;
            EXIT WHEN cardinality(seen) >= most;
        END LOOP;
        SELECT max(c.month) INTO looked_at FROM metering_usage_chat AS c
        WHERE c.organization_id = organization AND c.month < looked_at;
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    """Chats are found in the newest months first."""

    atomic = False
    dependencies = [("metering", "0016_rates")]
    operations = [
        migrations.RunSQL(
            WORDS,
            "DROP FUNCTION metering_chat_words(int, date, text, text); DROP FUNCTION metering_chat_query(int, date, text)",
        ),
        migrations.RunSQL(INDEX, "DROP INDEX metering_usage_chat_words_by_month"),
        migrations.RunSQL(FIND, migrations.RunSQL.noop),
        migrations.RunSQL(
            """
            DROP INDEX metering_usage_chat_words;
            DROP FUNCTION metering_chat_words(int, text, text);
            DROP FUNCTION metering_chat_query(int, text);
            """,
            migrations.RunSQL.noop,
        ),
    ]
