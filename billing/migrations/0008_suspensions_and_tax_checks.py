import django.db.models.deletion
from django.db import migrations, models

from core.row_security import protect

# Until now the only sign of the operator's word was their address as its reference.
DECIDED = "UPDATE billing_billingprofile SET is_tax_decided = true WHERE tax_reference LIKE '%@%'"


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_impersonation"),
        ("billing", "0007_stripe_and_dunning"),
    ]

    operations = [
        migrations.CreateModel(
            name="Suspension",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.CharField(max_length=200)),
                ("begun_at", models.DateTimeField()),
                ("begun_by_label", models.CharField(max_length=254)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_by_label", models.CharField(blank=True, max_length=254)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)),
                        fields=("organization",),
                        name="suspended_once_at_a_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("ended_at", None), ("ended_at__gte", models.F("begun_at")), _connector="OR"
                        ),
                        name="suspension_ends_after",
                    ),
                ],
            },
        ),
        protect("billing_suspension"),
        migrations.AddField(
            model_name="billingprofile",
            name="is_tax_decided",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="billingprofile",
            name="tax_asked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="billingprofile",
            name="tax_unanswered",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.RunSQL(DECIDED, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="subscriptionchange",
            name="kind",
            field=models.CharField(
                choices=[
                    ("start", "Started"),
                    ("trial", "Trial started"),
                    ("upgrade", "Upgraded"),
                    ("downgrade", "Downgraded"),
                    ("cancel", "Canceled"),
                    ("resume", "Resumed"),
                    ("extend", "Trial extended"),
                ],
                max_length=9,
            ),
        ),
    ]
