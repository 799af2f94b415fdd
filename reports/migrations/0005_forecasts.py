import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from core.row_security import protect


class Migration(migrations.Migration):
    """The last forecast of each scope and measure."""

    dependencies = [
        ("accounts", "0004_impersonation"),
        ("reports", "0004_results"),
    ]

    operations = [
        migrations.CreateModel(
            name="Forecast",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("organization", "Organization"),
                            ("team", "Team"),
                            ("project", "Project"),
                            ("model", "Model"),
                            ("member", "Member"),
                            ("budget", "Budget"),
                        ],
                        max_length=12,
                    ),
                ),
                ("ref", models.PositiveIntegerField(default=0)),
                ("measure", models.CharField(choices=[("cost", "Cost"), ("tokens", "Tokens")], max_length=6)),
                ("made_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("first_day", models.DateField()),
                ("timezone", models.CharField(max_length=64)),
                ("days", models.JSONField(default=list)),
                ("totals", models.JSONField(default=list)),
                ("method", models.CharField(blank=True, max_length=200)),
                ("basis", models.TextField(blank=True)),
                ("measured", models.JSONField(null=True)),
                ("history_from", models.DateField()),
                ("history", models.JSONField(default=list)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "scope", "ref", "measure"), name="forecast_once")
                ],
            },
        ),
        protect("reports_forecast"),
    ]
