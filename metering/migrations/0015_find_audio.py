from django.db import migrations


class Migration(migrations.Migration):
    """Calls with audio are few among all: finding them costs nothing to the others."""

    dependencies = [("metering", "0014_usage_notes")]
    operations = [
        migrations.RunSQL(
            "CREATE INDEX metering_event_with_audio ON metering_event (organization_id, occurred_at)"
            " WHERE (audio_input > 0 OR audio_output > 0 OR media_ms > 0)",
            "DROP INDEX metering_event_with_audio",
        ),
    ]
