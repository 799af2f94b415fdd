from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("metering", "0018_find_files")]

    operations = [
        migrations.AlterField(
            model_name="limit",
            name="kind",
            field=models.CharField(
                choices=[
                    ("allowance", "Allowance"),
                    ("budget", "Budget"),
                    ("credits", "Credits"),
                    ("payment", "Payment"),
                ],
                max_length=9,
            ),
        )
    ]
