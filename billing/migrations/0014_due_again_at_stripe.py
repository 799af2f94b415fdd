import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0013_refused_purchases"),
    ]

    operations = [
        migrations.AlterField(
            model_name="stripeinvoice",
            name="invoice",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="at_stripe", to="billing.invoice"
            ),
        ),
        migrations.AddField(
            model_name="stripeinvoice",
            name="rest",
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="stripeinvoice",
            name="is_paid",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddConstraint(
            model_name="stripeinvoice",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_paid", False)), fields=("invoice",), name="stripe_invoice_asks_once"
            ),
        ),
    ]
