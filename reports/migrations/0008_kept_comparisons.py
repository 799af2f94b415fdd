import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.db import migrations, models

from core.row_security import protect


class Migration(migrations.Migration):
    """Comparisons under a name."""

    dependencies = [
        ("accounts", "0004_impersonation"),
        ("reports", "0007_monthly_reports"),
    ]

    operations = [
        migrations.CreateModel(
            name="KeptComparison",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("rights", models.JSONField(default=list)),
                ("name", models.CharField(max_length=80)),
                ("kept_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("timezone", models.CharField(max_length=64)),
                ("filters", models.JSONField(default=dict)),
                ("gpus", models.JSONField(default=dict)),
                ("figures", models.JSONField()),
                (
                    "kept_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.membership"
                    ),
                ),
                (
                    "of_member",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.membership",
                    ),
                ),
                (
                    "of_team",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.team"
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["organization", "-kept_at"], name="kept_comparison_by_time")],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("kept_by"),
                        django.db.models.functions.text.Lower("name"),
                        name="kept_comparison_name_once",
                    )
                ],
            },
        ),
        protect("reports_keptcomparison"),
    ]
