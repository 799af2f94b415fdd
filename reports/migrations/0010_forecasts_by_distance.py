from django.db import migrations, models


class Migration(migrations.Migration):
    """How good forecasts were at each distance, and the trials of those that are not had again everywhere."""

    dependencies = [
        ("reports", "0009_forecasts_of_any_dimension"),
    ]

    operations = [
        migrations.AddField(
            model_name="forecast",
            name="horizons",
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name="forecast",
            name="trials",
            field=models.BinaryField(null=True),
        ),
    ]
