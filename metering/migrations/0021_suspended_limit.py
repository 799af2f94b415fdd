from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("metering", "0020_find_calls_with_file")]

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
                    ("suspended", "Suspended"),
                ],
                max_length=9,
            ),
        )
    ]
