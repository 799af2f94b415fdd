from django.db import migrations, models

from core.row_security import announce

CHANNEL = "tokenledger_directory"
COLUMNS_BEFORE = (
    "organization_id, kind, source, label, unit, amount, period, starts_on, ends_on, project_id, team_id, department_id,"
    " member_id, api_key_id, model, feature, is_active"
)
BEFORE = announce("metering_limit", CHANNEL, COLUMNS_BEFORE)


class Migration(migrations.Migration):
    """A limit may tell without refusing; processes with a copy hear of that, too."""

    dependencies = [("metering", "0011_find_chats")]
    operations = [
        migrations.AddField("limit", "is_hard", models.BooleanField(default=True, db_default=True)),
        migrations.RunSQL(BEFORE.reverse_sql, BEFORE.sql),
        announce("metering_limit", CHANNEL, f"{COLUMNS_BEFORE}, is_hard"),
    ]
