from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0012_budgets_of_known_years"),
    ]

    operations = [
        migrations.AddField(
            model_name="topup",
            name="refusal",
            field=models.CharField(blank=True, db_default="", max_length=300),
        ),
    ]
