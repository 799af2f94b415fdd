import django.db.models.deletion
from django.db import migrations, models

from core.row_security import protect


class Migration(migrations.Migration):
    """What was refused to which key, counted by day."""

    dependencies = [
        ("accounts", "0003_idempotent_answers"),
        ("metering", "0012_soft_limits"),
    ]

    operations = [
        migrations.CreateModel(
            name="Refusal",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organization_id",
                        "api_key_id",
                        "day",
                        "code",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("api_key_id", models.PositiveIntegerField()),
                ("day", models.DateField()),
                ("code", models.CharField(max_length=60)),
                ("count", models.BigIntegerField()),
                ("last_at", models.DateTimeField()),
                ("message", models.CharField(max_length=300)),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        protect("metering_refusal"),
    ]
