import datetime as dt

from django.db import migrations, models

# What was stored keeps all of its dates that usage can have; one without any such dates bounds nothing.
BRING_WITHIN = """
DELETE FROM metering_limit WHERE ends_on <= '2000-01-01' OR starts_on >= '2100-12-31';
UPDATE metering_limit SET
    starts_on = greatest(starts_on, '2000-01-01'),
    ends_on = CASE WHEN ends_on IS NULL THEN NULL ELSE least(ends_on, '2100-12-31') END
WHERE starts_on < '2000-01-01' OR ends_on > '2100-12-31';
"""


class Migration(migrations.Migration):
    """A limit's dates lie within the years that people mean: whoever asks how limits stand tells them in a zone."""

    dependencies = [
        ("metering", "0022_refused_quarters"),
    ]

    operations = [
        migrations.RunSQL(BRING_WITHIN, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="limit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("starts_on", None),
                    models.Q(
                        ("starts_on__gte", dt.date(2000, 1, 1)),
                        ("starts_on__lte", dt.date(2100, 12, 31)),
                        models.Q(("ends_on", None), ("ends_on__lte", dt.date(2100, 12, 31)), _connector="OR"),
                    ),
                    _connector="OR",
                ),
                name="limit_of_known_years",
            ),
        ),
    ]
