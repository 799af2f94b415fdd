from django.db import migrations


class Migration(migrations.Migration):
    """What an event superseded is found without reading every event. Few events have been: writing does not notice."""

    dependencies = [("metering", "0004_import_runs")]
    operations = [
        migrations.RunSQL(
            """
            CREATE INDEX metering_event_superseded ON metering_event (organization_id, superseded_by)
            WHERE superseded_by IS NOT NULL
            """,
            "DROP INDEX metering_event_superseded",
        )
    ]
