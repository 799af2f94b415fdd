from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0010_plans_and_usage_at_stripe"),
    ]

    operations = [
        migrations.AlterField(
            model_name="invoiceline",
            name="kind",
            field=models.CharField(
                choices=[
                    ("fee", "Plan"),
                    ("included", "Included usage"),
                    ("usage", "Usage"),
                    ("tool", "Tools and units"),
                    ("late", "Late usage"),
                    ("carried", "Carried over"),
                    ("credits", "Credits"),
                ],
                max_length=8,
            ),
        ),
    ]
