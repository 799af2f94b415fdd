from django.db import migrations

from core.row_security import protect

TABLE = """
CREATE TABLE metering_usage_rate (
    organization_id int NOT NULL,
    day date NOT NULL,
    project_id int NOT NULL,
    team_id int NOT NULL,
    department_id int NOT NULL,
    api_key_id int NOT NULL,
    model_id int NOT NULL,
    provider_id int NOT NULL,
    price_version_id int NOT NULL,
    tier text NOT NULL,
    above_tokens int NOT NULL,
    kinds smallint NOT NULL,
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
    timed_requests bigint NOT NULL,
    PRIMARY KEY (
        organization_id, day, project_id, team_id, department_id, api_key_id, model_id, provider_id,
        price_version_id, tier, above_tokens, kinds
    )
) WITH (fillfactor = 85);
"""

# What is there already, as metering/store/rollups.py would have written it.
FILL = """
INSERT INTO metering_usage_rate
SELECT organization_id, day, project_id, team_id, department_id, api_key_id, model_id, provider_id, price_version_id,
    coalesce(service_tier, ''), (CASE WHEN input::bigint + cache_read::bigint + cache_write_5m::bigint +
    cache_write_1h::bigint + audio_input::bigint + image_input::bigint > 524288 THEN 524288 WHEN
    input::bigint + cache_read::bigint + cache_write_5m::bigint + cache_write_1h::bigint +
    audio_input::bigint + image_input::bigint > 512000 THEN 512000 WHEN input::bigint + cache_read::bigint +
    cache_write_5m::bigint + cache_write_1h::bigint + audio_input::bigint + image_input::bigint > 272000 THEN
    272000 WHEN input::bigint + cache_read::bigint + cache_write_5m::bigint + cache_write_1h::bigint +
    audio_input::bigint + image_input::bigint > 256000 THEN 256000 WHEN input::bigint + cache_read::bigint +
    cache_write_5m::bigint + cache_write_1h::bigint + audio_input::bigint + image_input::bigint > 200000 THEN
    200000 WHEN input::bigint + cache_read::bigint + cache_write_5m::bigint + cache_write_1h::bigint +
    audio_input::bigint + image_input::bigint > 199999 THEN 199999 WHEN input::bigint + cache_read::bigint +
    cache_write_5m::bigint + cache_write_1h::bigint + audio_input::bigint + image_input::bigint > 128000 THEN
    128000 WHEN input::bigint + cache_read::bigint + cache_write_5m::bigint + cache_write_1h::bigint +
    audio_input::bigint + image_input::bigint > 100000 THEN 100000 WHEN input::bigint + cache_read::bigint +
    cache_write_5m::bigint + cache_write_1h::bigint + audio_input::bigint + image_input::bigint > 32000 THEN
    32000 ELSE 0 END), (((input > 0 OR cache_read > 0 OR cache_write_5m > 0 OR cache_write_1h > 0 OR
    image_input > 0)::int << 0) + ((output > 0 OR reasoning > 0)::int << 1) + ((audio_input > 0)::int << 2) +
    ((audio_output > 0)::int << 3) + ((image_output > 0)::int << 4) + ((web_searches > 0)::int << 5) +
    ((images > 0 AND output = 0 AND reasoning = 0 AND audio_output = 0 AND image_output = 0)::int << 6) +
    ((media_ms > 0 AND input = 0 AND cache_read = 0 AND cache_write_5m = 0 AND cache_write_1h = 0 AND
    audio_input = 0 AND image_input = 0 AND output = 0 AND reasoning = 0 AND audio_output = 0 AND
    image_output = 0)::int << 7))::smallint,
    sum(1)::bigint, sum(is_error::int)::bigint, sum(input)::bigint, sum(cache_read)::bigint,
    sum(cache_write_5m)::bigint, sum(cache_write_1h)::bigint, sum(output)::bigint, sum(reasoning)::bigint,
    sum(audio_input)::bigint, sum(audio_output)::bigint, sum(image_input)::bigint, sum(image_output)::bigint,
    sum(web_searches)::bigint, sum(images)::bigint, sum(media_ms)::bigint, sum(coalesce(cost_nanos,
    0))::bigint, sum(coalesce(input_cost_nanos, 0))::bigint, sum(coalesce(output_cost_nanos, 0))::bigint,
    sum((pricing = 2)::int)::bigint, sum((pricing = 1 AND is_estimated)::int)::bigint, sum((pricing =
    3)::int)::bigint, sum((NOT is_usage_known)::int)::bigint, sum(CASE WHEN pricing = 2 THEN input::bigint +
    cache_read::bigint + cache_write_5m::bigint + cache_write_1h::bigint + audio_input::bigint +
    image_input::bigint + output::bigint + reasoning::bigint + audio_output::bigint + image_output::bigint
    ELSE 0 END)::bigint, sum(CASE WHEN pricing = 1 AND is_estimated THEN input::bigint + cache_read::bigint +
    cache_write_5m::bigint + cache_write_1h::bigint + audio_input::bigint + image_input::bigint +
    output::bigint + reasoning::bigint + audio_output::bigint + image_output::bigint ELSE 0 END)::bigint,
    sum(CASE WHEN pricing = 3 THEN input::bigint + cache_read::bigint + cache_write_5m::bigint +
    cache_write_1h::bigint + audio_input::bigint + image_input::bigint + output::bigint + reasoning::bigint +
    audio_output::bigint + image_output::bigint ELSE 0 END)::bigint, sum(coalesce(duration_ms, 0))::bigint,
    sum((duration_ms IS NOT NULL)::int)::bigint
FROM (
    SELECT e.*, (e.occurred_at AT TIME ZONE l.timezone)::date AS day
    FROM metering_event e JOIN metering_ledger l USING (organization_id) WHERE e.superseded_by IS NULL
) AS events
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
"""


class Migration(migrations.Migration):
    """The roll-up of rates: usage by what decides what a call is charged."""

    dependencies = [("metering", "0015_find_audio")]
    operations = [
        migrations.RunSQL(TABLE, "DROP TABLE metering_usage_rate"),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        protect("metering_usage_rate"),
    ]
