import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.db import migrations, models

from core.row_security import protect


class Migration(migrations.Migration):
    """Reports under a name, and when they are made by themselves."""

    dependencies = [
        ("accounts", "0004_impersonation"),
        ("reports", "0005_forecasts"),
    ]

    operations = [
        migrations.AddField(
            model_name="result",
            name="due_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.CreateModel(
            name="CustomReport",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80)),
                ("parameters", models.JSONField(default=dict)),
                ("is_shared", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("changed_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.membership"
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="result",
            name="report",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="reports.customreport"
            ),
        ),
        migrations.CreateModel(
            name="ReportSchedule",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("file_format", models.CharField(max_length=10)),
                (
                    "frequency",
                    models.CharField(
                        choices=[
                            ("daily", "Every day"),
                            ("weekly", "Every week"),
                            ("monthly", "Every month"),
                            ("cron", "By a cron expression"),
                        ],
                        max_length=10,
                    ),
                ),
                ("cron", models.CharField(max_length=100)),
                (
                    "receivers",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), default=list, size=None
                    ),
                ),
                ("scope", models.CharField(max_length=12)),
                ("ref", models.IntegerField(default=0)),
                ("next_at", models.DateTimeField(null=True)),
                ("paused_at", models.DateTimeField(null=True)),
                ("pause_reason", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.membership"
                    ),
                ),
                (
                    "report",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="schedules", to="reports.customreport"
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="result",
            name="schedule",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="reports.reportschedule"
            ),
        ),
        migrations.AddConstraint(
            model_name="result",
            constraint=models.UniqueConstraint(fields=("schedule", "due_at"), name="result_once_when_due"),
        ),
        migrations.AddConstraint(
            model_name="customreport",
            constraint=models.UniqueConstraint(
                models.F("owner"), django.db.models.functions.text.Lower("name"), name="custom_report_name_once"
            ),
        ),
        migrations.AddIndex(
            model_name="reportschedule",
            index=models.Index(fields=["next_at"], name="report_schedule_by_time"),
        ),
        protect("reports_customreport"),
        protect("reports_reportschedule"),
    ]
