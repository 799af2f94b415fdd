import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from core.row_security import protect


class Migration(migrations.Migration):
    """Answers to requests that carried an Idempotency-Key, kept for a day."""

    dependencies = [("accounts", "0002_row_security")]

    operations = [
        migrations.CreateModel(
            name="IdempotentAnswer",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=255)),
                ("fingerprint", models.CharField(max_length=64)),
                ("status", models.PositiveSmallIntegerField(default=0)),
                ("sealed", models.BinaryField(default=bytes)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["created_at"], name="idempotent_answer_age")],
                "constraints": [models.UniqueConstraint(fields=["organization", "key"], name="idempotency_key_once")],
            },
        ),
        protect("accounts_idempotentanswer"),
    ]
