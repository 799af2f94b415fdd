import django.db.models.deletion
from django.db import migrations, models

from core.row_security import protect


class Migration(migrations.Migration):
    """What was refused for coming too fast, counted by quarter hour."""

    dependencies = [
        ("accounts", "0004_impersonation"),
        ("metering", "0021_suspended_limit"),
    ]

    operations = [
        migrations.CreateModel(
            name="RefusedQuarter",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organization_id",
                        "api_key_id",
                        "quarter",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("api_key_id", models.PositiveIntegerField()),
                ("quarter", models.DateTimeField()),
                ("count", models.BigIntegerField()),
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
            options={"abstract": False},
        ),
        protect("metering_refusedquarter"),
    ]
