from django.db import migrations, models

# Credits that an invoice took, or a credit note gave back, are drawn from grants as those of usage are.
DRAWN = """
CREATE OR REPLACE FUNCTION billing_creditentry_is_drawn() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    drawn bigint;
BEGIN
    SELECT coalesce(sum(amount_nanos), 0) INTO drawn FROM billing_creditdraw WHERE entry_id = NEW.id;
    IF drawn <> NEW.amount_nanos AND (NEW.amount_nanos < 0 OR NEW.kind IN ({kinds})) THEN
        RAISE EXCEPTION 'entry % is not the sum of what it draws', NEW.number USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0008_suspensions_and_tax_checks"),
    ]

    operations = [
        migrations.AlterField(
            model_name="creditentry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("purchase", "Purchase"),
                    ("promotion", "Promotion"),
                    ("consumption", "Usage"),
                    ("invoice", "Invoice"),
                    ("expiry", "Expired"),
                    ("refund", "Refund"),
                    ("adjustment", "Adjustment"),
                ],
                max_length=11,
            ),
        ),
        migrations.RunSQL(DRAWN.format(kinds="'consumption', 'invoice'"), DRAWN.format(kinds="'consumption'")),
        migrations.AlterField(
            model_name="topup",
            name="status",
            field=models.CharField(
                choices=[("due", "Due"), ("paid", "Paid"), ("failed", "Failed"), ("withdrawn", "Withdrawn")],
                default="due",
                max_length=9,
            ),
        ),
        migrations.AddField(
            model_name="topup", name="ordered_by_label", field=models.CharField(blank=True, max_length=254)
        ),
        migrations.AddField(model_name="topup", name="charges_card", field=models.BooleanField(default=True)),
        migrations.AddField(model_name="topup", name="payment_id", field=models.CharField(blank=True, max_length=255)),
    ]
