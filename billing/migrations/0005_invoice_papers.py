import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from core.row_security import protect_append_only


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_invoices")]

    operations = [
        migrations.CreateModel(
            name="InvoicePaper",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("states", models.CharField(max_length=64)),
                ("digest", models.CharField(max_length=64)),
                ("content", models.BinaryField()),
                ("made_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "invoice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="papers", to="billing.invoice"
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.organization"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("invoice", "states"), name="invoice_paper_once")],
            },
        ),
        protect_append_only("billing_invoicepaper"),
    ]
