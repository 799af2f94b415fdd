import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from core.row_security import protect


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_idempotent_answers"),
        ("billing", "0005_invoice_papers"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProviderStatement",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("file_name", models.CharField(max_length=200)),
                ("digest", models.CharField(max_length=64)),
                ("provider", models.CharField(max_length=60)),
                ("first_day", models.DateField()),
                ("last_day", models.DateField()),
                ("tolerance", models.DecimalField(decimal_places=2, max_digits=4)),
                ("rows", models.JSONField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("created_by_label", models.CharField(max_length=254)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "digest"), name="provider_statement_once"),
                    models.CheckConstraint(
                        condition=models.Q(("tolerance__gte", 0), ("tolerance__lte", 50)),
                        name="provider_statement_tolerance",
                    ),
                ],
            },
        ),
        protect("billing_providerstatement"),
    ]
