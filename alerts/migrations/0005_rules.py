import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from core.row_security import protect


class Migration(migrations.Migration):
    """Rules about usage, and each time one of them fired."""

    dependencies = [
        ("accounts", "0004_impersonation"),
        ("alerts", "0004_webhooks"),
    ]

    operations = [
        migrations.CreateModel(
            name="Alert",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("condition", models.CharField(max_length=20)),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("organization", "Organization"),
                            ("department", "Department"),
                            ("team", "Team"),
                            ("project", "Project"),
                            ("member", "Member"),
                            ("api_key", "API key"),
                            ("model", "Model"),
                            ("feature", "Feature"),
                            ("integration", "Integration"),
                        ],
                        max_length=12,
                    ),
                ),
                ("ref", models.PositiveIntegerField(default=0)),
                ("value", models.CharField(blank=True, max_length=200)),
                ("label", models.CharField(max_length=254)),
                ("about", models.CharField(blank=True, max_length=220)),
                (
                    "window",
                    models.CharField(
                        choices=[
                            ("15m", "Quarter hour"),
                            ("hour", "Hour"),
                            ("day", "Day"),
                            ("month", "Calendar month"),
                            ("billing", "Billing period"),
                            ("moment", "At any moment"),
                        ],
                        max_length=7,
                    ),
                ),
                ("period_starts_at", models.DateTimeField()),
                ("period_ends_at", models.DateTimeField()),
                ("threshold", models.BigIntegerField()),
                ("peak_starts_at", models.DateTimeField()),
                ("peak_ends_at", models.DateTimeField()),
                ("actual", models.BigIntegerField()),
                ("bound", models.BigIntegerField()),
                ("expected", models.BigIntegerField(null=True)),
                ("explanation", models.JSONField(default=dict)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("acknowledged", "Acknowledged"),
                            ("snoozed", "Snoozed"),
                            ("resolved", "Resolved"),
                        ],
                        default="open",
                        max_length=12,
                    ),
                ),
                ("snoozed_until", models.DateTimeField(blank=True, null=True)),
                ("opened_at", models.DateTimeField()),
                ("held_until", models.DateTimeField()),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                (
                    "resolution",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("over", "What it was about is over"),
                            ("by_hand", "Resolved by hand"),
                            ("rule_changed", "Its rule was changed, paused or archived"),
                        ],
                        max_length=12,
                    ),
                ),
                ("told", models.PositiveIntegerField(default=0)),
                ("told_at", models.DateTimeField(null=True)),
                ("is_told", models.BooleanField(default=False)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="AlertAct",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("opened", "Opened"),
                            ("told_again", "Told again"),
                            ("reopened", "Held again"),
                            ("acknowledged", "Acknowledged"),
                            ("snoozed", "Snoozed"),
                            ("woken", "Snooze over"),
                            ("resolved", "Resolved"),
                        ],
                        max_length=12,
                    ),
                ),
                ("by_label", models.CharField(blank=True, max_length=254)),
                ("note", models.CharField(blank=True, max_length=200)),
                (
                    "alert",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="acts", to="alerts.alert"
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
                "ordering": ["at", "id"],
            },
        ),
        migrations.CreateModel(
            name="AlertRule",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(blank=True, max_length=120)),
                ("condition", models.CharField(max_length=20)),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("organization", "Organization"),
                            ("department", "Department"),
                            ("team", "Team"),
                            ("project", "Project"),
                            ("member", "Member"),
                            ("api_key", "API key"),
                            ("model", "Model"),
                            ("feature", "Feature"),
                            ("integration", "Integration"),
                        ],
                        default="organization",
                        max_length=12,
                    ),
                ),
                ("ref", models.PositiveIntegerField(default=0)),
                ("value", models.CharField(blank=True, max_length=200)),
                (
                    "window",
                    models.CharField(
                        choices=[
                            ("15m", "Quarter hour"),
                            ("hour", "Hour"),
                            ("day", "Day"),
                            ("month", "Calendar month"),
                            ("billing", "Billing period"),
                            ("moment", "At any moment"),
                        ],
                        max_length=7,
                    ),
                ),
                ("threshold", models.BigIntegerField()),
                ("minimum", models.BigIntegerField(blank=True, null=True)),
                ("renotify_minutes", models.PositiveIntegerField(blank=True, null=True)),
                ("is_enabled", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("created_by_label", models.CharField(max_length=254)),
                ("archived_at", models.DateTimeField(blank=True, null=True)),
                ("watches_from", models.DateTimeField()),
                ("judged_until", models.DateTimeField()),
                ("due_at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="alert",
            name="rule",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="alerts", to="alerts.alertrule"
            ),
        ),
        migrations.AddIndex(
            model_name="alertrule",
            index=models.Index(
                condition=models.Q(("archived_at", None), ("is_enabled", True)),
                fields=["due_at"],
                name="rule_by_due_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("threshold__gte", 0)), name="rule_threshold_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="alertrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ref", 0), ("scope", "organization"), ("value", "")),
                    models.Q(
                        ("ref", 0),
                        ("scope__in", ["model", "feature", "integration"]),
                        models.Q(("value", ""), _negated=True),
                    ),
                    models.Q(
                        ("ref__gt", 0),
                        ("scope__in", ["department", "team", "project", "member", "api_key"]),
                        ("value", ""),
                    ),
                    _connector="OR",
                ),
                name="rule_names_whose_it_is",
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(fields=["organization", "-opened_at", "-id"], name="alert_by_time"),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("state", "resolved"), _negated=True), fields=["organization"], name="alert_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                fields=("rule", "about", "period_starts_at", "threshold"), name="alert_once_a_period"
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "resolved"), _negated=True),
                fields=("rule", "about"),
                name="alert_open_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("resolved_at__isnull", False), ("state", "resolved")),
                    models.Q(models.Q(("state", "resolved"), _negated=True), ("resolved_at", None)),
                    _connector="OR",
                ),
                name="alert_resolved_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("snoozed_until__isnull", False), ("state", "snoozed")),
                    models.Q(models.Q(("state", "snoozed"), _negated=True), ("snoozed_until", None)),
                    _connector="OR",
                ),
                name="alert_snoozed_until_a_time",
            ),
        ),
        protect("alerts_alertrule"),
        protect("alerts_alert"),
        protect("alerts_alertact"),
    ]
