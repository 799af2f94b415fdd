import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from core.row_security import protect


class Migration(migrations.Migration):
    """Advice, its evidence, and when it was last looked for."""

    dependencies = [
        ("accounts", "0004_impersonation"),
        ("reports", "0002_diagnoses"),
    ]

    operations = [
        migrations.CreateModel(
            name="AdviceRound",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("asked_at", models.DateTimeField(null=True)),
                ("starts_at", models.DateTimeField(null=True)),
                ("ends_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("cost_nanos", models.BigIntegerField(null=True)),
                ("together_nanos", models.BigIntegerField(null=True)),
                (
                    "failed",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=30), default=list, size=None
                    ),
                ),
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
                    ),
                ),
            ],
            options={"abstract": False},
        ),
        migrations.CreateModel(
            name="Insight",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=30)),
                ("subject", models.CharField(max_length=400)),
                ("title", models.CharField(max_length=300)),
                ("text", models.TextField()),
                ("caveat", models.TextField(blank=True)),
                ("terms", models.JSONField(default=list)),
                (
                    "effort",
                    models.CharField(
                        choices=[("small", "Small"), ("medium", "Medium"), ("large", "Large")], max_length=6
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("evidence_count", models.PositiveIntegerField()),
                ("now_nanos", models.BigIntegerField(null=True)),
                ("would_nanos", models.BigIntegerField(null=True)),
                ("low_nanos", models.BigIntegerField(null=True)),
                ("likely_nanos", models.BigIntegerField(null=True)),
                ("high_nanos", models.BigIntegerField(null=True)),
                ("cost_nanos", models.BigIntegerField()),
                ("found_at", models.DateTimeField()),
                ("checked_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("dismissed", "Dismissed"),
                            ("done", "Done"),
                            ("gone", "Not found any more"),
                        ],
                        default="open",
                        max_length=9,
                    ),
                ),
                ("settled_at", models.DateTimeField(null=True)),
                ("settled_by_label", models.CharField(blank=True, max_length=254)),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("settled_nanos", models.BigIntegerField(null=True)),
                ("before_units", models.BigIntegerField(null=True)),
                ("before_nanos", models.BigIntegerField(null=True)),
                ("since_units", models.BigIntegerField(null=True)),
                ("since_nanos", models.BigIntegerField(null=True)),
                ("measured_from", models.DateTimeField(null=True)),
                ("measured_until", models.DateTimeField(null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["organization", "state"], name="insight_by_state")],
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "kind", "subject"), name="insight_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("settled_at__isnull", False), ("state__in", ["dismissed", "done"])),
                            models.Q(("settled_at", None), ("state__in", ["open", "gone"])),
                            _connector="OR",
                        ),
                        name="insight_settled_at_a_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="InsightEvidence",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("part", models.PositiveIntegerField()),
                ("ids", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ("times", django.contrib.postgres.fields.ArrayField(base_field=models.DateTimeField(), size=None)),
                (
                    "now_nanos",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(null=True), size=None),
                ),
                (
                    "would_nanos",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(null=True), size=None),
                ),
                (
                    "notes",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(blank=True), size=None),
                ),
                (
                    "insight",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="evidence", to="reports.insight"
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
                "constraints": [
                    models.UniqueConstraint(fields=("insight", "part"), name="insight_evidence_once"),
                ],
            },
        ),
        protect("reports_adviceround"),
        protect("reports_insight"),
        protect("reports_insightevidence"),
    ]
