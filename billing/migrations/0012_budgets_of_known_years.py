import datetime as dt

from django.db import migrations, models

import core.days

# What was stored keeps all of its dates that usage can have. Of one without any such dates a day is kept, archived.
BRING_WITHIN = """
UPDATE billing_budgetcrossing AS crossing SET period_starts_on = '2000-01-01'
FROM billing_budget AS budget
WHERE budget.id = crossing.budget_id AND budget.starts_on = crossing.period_starts_on
    AND budget.starts_on < '2000-01-01'
    AND NOT EXISTS (
        SELECT FROM billing_budgetcrossing AS other
        WHERE other.budget_id = budget.id AND other.period_starts_on = '2000-01-01' AND other.percent = crossing.percent
    );
UPDATE billing_budget SET
    archived_at = CASE
        WHEN ends_on <= '2000-01-01' OR starts_on >= '2100-12-31' THEN coalesce(archived_at, now()) ELSE archived_at
    END,
    starts_on = least(greatest(starts_on, '2000-01-01'), '2100-12-30'),
    ends_on = least(greatest(ends_on, '2000-01-02'), '2100-12-31')
WHERE starts_on < '2000-01-01' OR ends_on > '2100-12-31';
"""


class Migration(migrations.Migration):
    """A budget's own dates lie within the years that people mean."""

    dependencies = [
        ("billing", "0011_carried_over"),
    ]

    operations = [
        migrations.RunSQL(BRING_WITHIN, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="budget",
            name="starts_on",
            field=models.DateField(blank=True, null=True, validators=[core.days.within_years]),
        ),
        migrations.AlterField(
            model_name="budget",
            name="ends_on",
            field=models.DateField(blank=True, null=True, validators=[core.days.within_years]),
        ),
        migrations.AddConstraint(
            model_name="budget",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("starts_on", None),
                    models.Q(("ends_on__lte", dt.date(2100, 12, 31)), ("starts_on__gte", dt.date(2000, 1, 1))),
                    _connector="OR",
                ),
                name="budget_of_known_years",
            ),
        ),
    ]
