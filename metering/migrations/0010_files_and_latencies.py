from django.db import migrations

from core.row_security import protect

# As of the other roll-ups: metering/store/rollups.py says what each measure sums.
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
TABLES = f"""
CREATE TABLE metering_usage_file (
    organization_id int NOT NULL,
    month date NOT NULL,
    file text NOT NULL,
    chat text NOT NULL,
    first_at timestamptz,
    last_at timestamptz,
    name text,
    named_at timestamptz,
    size_bytes bigint,
    tokens bigint,
    {MEASURES},
    file_tokens bigint NOT NULL,
    file_cost_nanos bigint NOT NULL,
    untold_requests bigint NOT NULL,
    uncosted_requests bigint NOT NULL,
    PRIMARY KEY (organization_id, month, file, chat)
) WITH (fillfactor = 85);

CREATE TABLE metering_usage_latency (
    organization_id int NOT NULL,
    day date NOT NULL,
    integration_id int NOT NULL,
    model_id int NOT NULL,
    provider_id int NOT NULL,
    bucket smallint NOT NULL,
    durations bigint NOT NULL,
    first_tokens bigint NOT NULL,
    PRIMARY KEY (organization_id, day, integration_id, model_id, provider_id, bucket)
) WITH (fillfactor = 85);
"""


class Migration(migrations.Migration):
    """The roll-ups of files and of latencies. `manage.py rebuild_rollups` fills them with what is there already."""

    dependencies = [("metering", "0009_unpriced_calls")]
    operations = [
        migrations.RunSQL(TABLES, "DROP TABLE metering_usage_file, metering_usage_latency"),
        protect("metering_usage_file"),
        protect("metering_usage_latency"),
        # Calls with files are few among all: finding them costs nothing to those without.
        migrations.RunSQL(
            "CREATE INDEX metering_event_with_files ON metering_event (organization_id, occurred_at)"
            " WHERE detail ? 'files'",
            "DROP INDEX metering_event_with_files",
        ),
    ]
