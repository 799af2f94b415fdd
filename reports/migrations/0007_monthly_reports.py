import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from core.row_security import protect


class Migration(migrations.Migration):
    """The report of a month, as it was made."""

    dependencies = [
        ("accounts", "0004_impersonation"),
        ("reports", "0006_custom_reports"),
    ]

    operations = [
        migrations.CreateModel(
            name="MonthlyReport",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "scope",
                    models.CharField(choices=[("organization", "Organization"), ("team", "Team")], max_length=12),
                ),
                ("ref", models.PositiveIntegerField(default=0)),
                ("label", models.CharField(max_length=254)),
                ("month", models.DateField()),
                ("timezone", models.CharField(max_length=64)),
                ("revision", models.PositiveSmallIntegerField(default=0)),
                ("asked_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("asked_by_label", models.CharField(blank=True, max_length=254)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("attempted_at", models.DateTimeField(null=True)),
                ("made_at", models.DateTimeField(null=True)),
                ("requests", models.BigIntegerField(null=True)),
                ("total_tokens", models.BigIntegerField(null=True)),
                ("known_cost_nanos", models.BigIntegerField(null=True)),
                ("is_cost_known", models.BooleanField(default=True)),
                ("before_nanos", models.BigIntegerField(null=True)),
                ("content", models.BinaryField(null=True)),
                ("digest", models.CharField(blank=True, max_length=64)),
                ("size_bytes", models.PositiveIntegerField(null=True)),
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
                        condition=models.Q(("made_at", None)), fields=["asked_at"], name="monthly_report_waiting"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "scope", "ref", "month", "revision"), name="monthly_report_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ref", 0), ("scope", "organization")),
                            models.Q(("ref__gt", 0), ("scope", "team")),
                            _connector="OR",
                        ),
                        name="monthly_report_names_whose_it_is",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("content", None), ("made_at", None)),
                            models.Q(("content__isnull", False), ("made_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="monthly_report_has_its_file",
                    ),
                ],
            },
        ),
        protect("reports_monthlyreport"),
    ]
