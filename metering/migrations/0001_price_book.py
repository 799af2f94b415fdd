import datetime as dt

import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from core.row_security import announce, protect

# Versions of one model of one owner never share an instant. A range type over text needs no extension, where
# "text WITH =" in a GiST index would need btree_gist, which not every server has.
NO_OVERLAP = """
CREATE TYPE metering_name_range AS RANGE (subtype = text, collation = "C");
ALTER TABLE metering_priceversion ADD CONSTRAINT price_period_once EXCLUDE USING gist (
    int4range(coalesce(organization_id, 0), coalesce(organization_id, 0), '[]') WITH &&,
    metering_name_range(provider || chr(31) || model, provider || chr(31) || model, '[]') WITH &&,
    tstzrange(valid_from, valid_to) WITH &&
);
"""

# Used prices stay what they were: of a version only its end may change, a rate comes with its version or not at all,
# and only the operator removes rows, those of an organization that left.
IMMUTABLE = """
CREATE FUNCTION metering_priceversion_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.organization_id IS NULL OR NOT tokenledger_sees_all() THEN
            RAISE EXCEPTION 'price versions are never deleted' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF TG_OP = 'INSERT' THEN
        NEW.created_at := now();
        RETURN NEW;
    END IF;
    IF (to_jsonb(NEW) - 'valid_to') IS DISTINCT FROM (to_jsonb(OLD) - 'valid_to') THEN
        RAISE EXCEPTION 'of a price version only valid_to may change' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep BEFORE INSERT OR UPDATE OR DELETE ON metering_priceversion
    FOR EACH ROW EXECUTE FUNCTION metering_priceversion_keep();

CREATE FUNCTION metering_pricerate_keep() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    version metering_priceversion;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'price rates never change' USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN
        IF OLD.organization_id IS NULL OR NOT tokenledger_sees_all() THEN
            RAISE EXCEPTION 'price rates are never deleted' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN OLD;
    END IF;
    SELECT * INTO version FROM metering_priceversion WHERE id = NEW.version_id;
    IF version.created_at IS DISTINCT FROM now() OR version.organization_id IS DISTINCT FROM NEW.organization_id THEN
        RAISE EXCEPTION 'a rate is added together with its version' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep BEFORE INSERT OR UPDATE OR DELETE ON metering_pricerate
    FOR EACH ROW EXECUTE FUNCTION metering_pricerate_keep();
"""

CHANNEL = "tokenledger_prices"


class Migration(migrations.Migration):
    """The price book, immutable where it has been used, and announced to the processes that keep it in memory."""

    initial = True

    dependencies = [
        ("accounts", "0002_row_security"),
    ]

    operations = [
        migrations.CreateModel(
            name="PriceVersion",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("list", "List price"),
                            ("override", "Own price of a listed model"),
                            ("custom", "Custom model"),
                        ],
                        max_length=8,
                    ),
                ),
                ("provider", models.CharField(blank=True, max_length=60)),
                ("model", models.CharField(max_length=200)),
                ("valid_from", models.DateTimeField()),
                ("valid_to", models.DateTimeField(blank=True, null=True)),
                ("is_free", models.BooleanField(default=False)),
                ("source", models.CharField(max_length=80)),
                ("created_at", models.DateTimeField(db_default=django.contrib.postgres.functions.TransactionNow())),
                (
                    "organization",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PriceRate",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "bucket",
                    models.CharField(
                        choices=[
                            ("input", "input"),
                            ("cache_read", "cache_read"),
                            ("cache_write_5m", "cache_write_5m"),
                            ("cache_write_1h", "cache_write_1h"),
                            ("output", "output"),
                            ("reasoning", "reasoning"),
                            ("audio_input", "audio_input"),
                            ("audio_output", "audio_output"),
                            ("image_input", "image_input"),
                            ("image_output", "image_output"),
                            ("web_searches", "web_searches"),
                            ("images", "images"),
                            ("requests", "requests"),
                            ("media_hours", "media_hours"),
                            ("gpu_hours", "gpu_hours"),
                        ],
                        max_length=16,
                    ),
                ),
                ("service_tier", models.CharField(blank=True, max_length=20)),
                ("above_tokens", models.PositiveIntegerField(default=0)),
                ("starts_at", models.TimeField(default=dt.time(0, 0))),
                ("ends_at", models.TimeField(default=dt.time(0, 0))),
                ("femtos_per_unit", models.PositiveBigIntegerField()),
                ("note", models.CharField(blank=True, max_length=120)),
                (
                    "organization",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="rates", to="metering.priceversion"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PriceAlias",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("provider", models.CharField(blank=True, max_length=60)),
                ("alias", models.CharField(max_length=200)),
                ("target_provider", models.CharField(max_length=60)),
                ("model", models.CharField(max_length=200)),
                ("source", models.CharField(max_length=80)),
                ("created_at", models.DateTimeField(db_default=django.contrib.postgres.functions.TransactionNow())),
                (
                    "organization",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.comparison.Coalesce("organization_id", 0),
                        models.F("provider"),
                        models.F("alias"),
                        name="price_alias_once",
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="priceversion",
            index=models.Index(fields=["organization", "provider", "model", "valid_from"], name="price_by_model"),
        ),
        migrations.AddConstraint(
            model_name="priceversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("valid_to", None), ("valid_to__gte", models.F("valid_from")), _connector="OR"),
                name="price_period_forward",
            ),
        ),
        migrations.AddConstraint(
            model_name="priceversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "list"), ("organization", None)),
                    models.Q(("kind__in", ["override", "custom"]), ("organization__isnull", False)),
                    _connector="OR",
                ),
                name="price_list_is_public",
            ),
        ),
        migrations.AddConstraint(
            model_name="pricerate",
            constraint=models.UniqueConstraint(
                fields=("version", "bucket", "service_tier", "above_tokens", "starts_at"), name="price_rate_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="pricerate",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "bucket__in",
                        (
                            "input",
                            "cache_read",
                            "cache_write_5m",
                            "cache_write_1h",
                            "output",
                            "reasoning",
                            "audio_input",
                            "audio_output",
                            "image_input",
                            "image_output",
                            "web_searches",
                            "images",
                            "requests",
                            "media_hours",
                            "gpu_hours",
                        ),
                    )
                ),
                name="price_rate_bucket",
            ),
        ),
        migrations.RunSQL(
            NO_OVERLAP,
            "ALTER TABLE metering_priceversion DROP CONSTRAINT price_period_once; DROP TYPE metering_name_range;",
        ),
        migrations.RunSQL(
            IMMUTABLE,
            """
            DROP TRIGGER keep ON metering_pricerate; DROP FUNCTION metering_pricerate_keep();
            DROP TRIGGER keep ON metering_priceversion; DROP FUNCTION metering_priceversion_keep();
            """,
        ),
        protect("metering_priceversion", is_shared_when_null=True),
        protect("metering_pricerate", is_shared_when_null=True),
        protect("metering_pricealias", is_shared_when_null=True),
        announce("metering_priceversion", CHANNEL, "valid_to"),
        announce("metering_pricealias", CHANNEL, "alias, target_provider, model"),
    ]
