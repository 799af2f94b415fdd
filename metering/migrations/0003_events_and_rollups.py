from django.db import migrations

from core.row_security import protect

# No foreign keys: they halve the speed of writing, and history outlives what it refers to. A reference of 0 is "none".
# Fixed-width columns first, so that reading the measures never walks over texts.
EVENTS = """
CREATE TABLE metering_event (
    organization_id int NOT NULL,
    occurred_at timestamptz NOT NULL,
    key uuid NOT NULL,
    received_at timestamptz NOT NULL,
    cost_nanos bigint,
    input_cost_nanos bigint,
    output_cost_nanos bigint,
    project_id int NOT NULL,
    team_id int NOT NULL,
    department_id int NOT NULL,
    member_id int NOT NULL,
    api_key_id int NOT NULL,
    model_id int NOT NULL,
    provider_id int NOT NULL,
    endpoint_id int NOT NULL,
    feature_id int NOT NULL,
    tool_id int NOT NULL,
    integration_id int NOT NULL,
    status_id int NOT NULL,
    user_id int NOT NULL,
    end_user_id int NOT NULL,
    input int NOT NULL,
    cache_read int NOT NULL,
    cache_write_5m int NOT NULL,
    cache_write_1h int NOT NULL,
    output int NOT NULL,
    reasoning int NOT NULL,
    audio_input int NOT NULL,
    audio_output int NOT NULL,
    image_input int NOT NULL,
    image_output int NOT NULL,
    web_searches int NOT NULL,
    images int NOT NULL,
    media_ms int NOT NULL,
    price_version_id int NOT NULL,
    duration_ms int,
    time_to_first_token_ms int,
    pricing smallint NOT NULL,
    is_error boolean NOT NULL,
    is_estimated boolean NOT NULL,
    is_usage_known boolean NOT NULL,
    superseded_by uuid,
    event_id text NOT NULL,
    price_rule text NOT NULL,
    service_tier text,
    chat text,
    message text,
    tags jsonb,
    raw_usage jsonb,
    detail jsonb,
    PRIMARY KEY (organization_id, occurred_at, key)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX metering_event_chat ON metering_event (organization_id, chat, occurred_at) WHERE chat IS NOT NULL;

CREATE TABLE metering_event_key (
    organization_id int NOT NULL,
    key uuid NOT NULL,
    body_hash uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, key)
);
"""

# Partitions are made by whoever first has an event of their month, although the application role owns no table.
# Attaching a finished table, unlike CREATE … PARTITION OF, does not stop writers and readers.
MONTHS = """
CREATE FUNCTION metering_ensure_month(month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'metering_event_' || to_char(first, 'YYYY_MM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(7042, 0);
    -- Names are cached, also that there is none; whoever waited for the lock must look at the table of tables itself.
    IF EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = 'public'::regnamespace) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE metering_event INCLUDING DEFAULTS)', name);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format(
        'CREATE POLICY tenant ON %I USING ((SELECT tokenledger_sees_all()) OR organization_id = ANY ((SELECT tokenledger_scope())::int[]))',
        name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO tokenledger_app', name);
    EXECUTE format(
        'ALTER TABLE metering_event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        name, first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
END $$;
REVOKE ALL ON FUNCTION metering_ensure_month(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION metering_ensure_month(date) TO tokenledger_app;
SELECT metering_ensure_month((now() + n * interval '1 month')::date) FROM generate_series(-13, 2) AS n;
"""

MEASURES = """
    requests bigint NOT NULL,
    errors bigint NOT NULL,
    input bigint NOT NULL,
    cache_read bigint NOT NULL,
    cache_write_5m bigint NOT NULL,
    cache_write_1h bigint NOT NULL,
    output bigint NOT NULL,
    reasoning bigint NOT NULL,
    audio_input bigint NOT NULL,
    audio_output bigint NOT NULL,
    image_input bigint NOT NULL,
    image_output bigint NOT NULL,
    web_searches bigint NOT NULL,
    images bigint NOT NULL,
    media_ms bigint NOT NULL,
    cost_nanos bigint NOT NULL,
    input_cost_nanos bigint NOT NULL,
    output_cost_nanos bigint NOT NULL,
    free_requests bigint NOT NULL,
    estimated_requests bigint NOT NULL,
    unpriced_requests bigint NOT NULL,
    unknown_requests bigint NOT NULL,
    free_tokens bigint NOT NULL,
    estimated_tokens bigint NOT NULL,
    unpriced_tokens bigint NOT NULL,
    duration_ms bigint NOT NULL,
    timed_requests bigint NOT NULL
"""

# Rows of the current hour and day are updated all the time: the room left lets that happen without index work.
ROLLUPS = f"""
CREATE TABLE metering_usage_hour (
    organization_id int NOT NULL,
    hour timestamptz NOT NULL,
    project_id int NOT NULL,
    api_key_id int NOT NULL,
    model_id int NOT NULL,
    provider_id int NOT NULL,
    {MEASURES},
    PRIMARY KEY (organization_id, hour, project_id, api_key_id, model_id, provider_id)
) WITH (fillfactor = 85);

CREATE TABLE metering_usage_day (
    organization_id int NOT NULL,
    kind smallint NOT NULL,
    day date NOT NULL,
    ref int NOT NULL,
    {MEASURES},
    PRIMARY KEY (organization_id, kind, day, ref)
) WITH (fillfactor = 85);

CREATE TABLE metering_usage_chat (
    organization_id int NOT NULL,
    month date NOT NULL,
    chat text NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    title text,
    titled_at timestamptz,
    {MEASURES},
    PRIMARY KEY (organization_id, month, chat)
) WITH (fillfactor = 85);
"""


class Migration(migrations.Migration):
    """The event table by months, the keys that make an event count once, and the roll-ups."""

    dependencies = [("metering", "0002_ledger")]
    operations = [
        migrations.RunSQL(EVENTS, "DROP TABLE metering_event, metering_event_key"),
        protect("metering_event"),
        protect("metering_event_key"),
        migrations.RunSQL(MONTHS, "DROP FUNCTION metering_ensure_month(date)"),
        migrations.RunSQL(ROLLUPS, "DROP TABLE metering_usage_hour, metering_usage_day, metering_usage_chat"),
        protect("metering_usage_hour"),
        protect("metering_usage_day"),
        protect("metering_usage_chat"),
    ]
