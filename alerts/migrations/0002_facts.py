import uuid

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from core.row_security import protect


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_impersonation"),
        ("alerts", "0001_push"),
    ]

    operations = [
        migrations.CreateModel(
            name="ToldFact",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("kind", models.CharField(max_length=60)),
                ("key", models.CharField(max_length=200)),
                ("data", models.JSONField()),
                ("scope", models.CharField(max_length=20)),
                ("ref", models.PositiveIntegerField(default=0)),
                ("people", models.JSONField(default=list)),
                ("happened_at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("spread_at", models.DateTimeField(null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("spread_at", None)), fields=["recorded_at"], name="fact_to_spread"
                    ),
                    models.Index(fields=["organization", "-happened_at", "-id"], name="fact_by_time"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "kind", "key"), name="fact_is_told_once")
                ],
            },
        ),
        protect("alerts_toldfact"),
    ]
