from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0014_due_again_at_stripe"),
    ]

    operations = [
        migrations.AddField(
            model_name="stripecustomer",
            name="details",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
