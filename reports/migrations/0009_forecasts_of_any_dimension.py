from django.db import migrations, models


class Migration(migrations.Migration):
    """A view narrowed to one value of any dimension is forecast, and rules may have long names."""

    dependencies = [
        ("reports", "0008_kept_comparisons"),
    ]

    operations = [
        migrations.AlterField(
            model_name="forecast",
            name="method",
            field=models.TextField(blank=True),
        ),
        migrations.AlterField(
            model_name="forecast",
            name="scope",
            field=models.CharField(max_length=12),
        ),
    ]
