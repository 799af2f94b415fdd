"""Migration operations that put PostgreSQL row-level security on a tenant's table."""

from __future__ import annotations

from django.db import migrations


def protect(table: str, column: str = "organization_id", *, is_shared_when_null: bool = False) -> migrations.RunSQL:
    """Only rows of the organizations in scope exist for the application role (core/tenancy.py).

    `is_shared_when_null`: rows of nobody (list prices) are everybody's to read and the operator's to write.
    The sub-selects make PostgreSQL evaluate the scope once per statement, not once per row.
    """
    own = f"((SELECT tokenledger_sees_all()) OR {column} = ANY ((SELECT tokenledger_scope())::int[]))"
    visible = f"({column} IS NULL OR {own})" if is_shared_when_null else own
    return migrations.RunSQL(
        f"""
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY tenant ON {table} USING ({visible}) WITH CHECK ({own});
        """,
        f"""
        DROP POLICY tenant ON {table};
        ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
        """,
    )


def protect_append_only(table: str) -> migrations.RunSQL:
    """As `protect`, and no statement of the application role changes or removes a row."""
    own = "((SELECT tokenledger_sees_all()) OR organization_id = ANY ((SELECT tokenledger_scope())::int[]))"
    return migrations.RunSQL(
        f"""
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY tenant_reads ON {table} FOR SELECT USING ({own});
        CREATE POLICY tenant_appends ON {table} FOR INSERT WITH CHECK ({own});
        """,
        f"""
        DROP POLICY tenant_reads ON {table};
        DROP POLICY tenant_appends ON {table};
        ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
        """,
    )


def publish_append_only(table: str) -> migrations.RunSQL:
    """For rows of the installation: everybody reads them, code that sees everything adds, nobody changes or removes."""
    return migrations.RunSQL(
        f"""
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY everybody_reads ON {table} FOR SELECT USING (true);
        CREATE POLICY operator_appends ON {table} FOR INSERT WITH CHECK ((SELECT tokenledger_sees_all()));
        """,
        f"""
        DROP POLICY everybody_reads ON {table};
        DROP POLICY operator_appends ON {table};
        ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
        """,
    )


def announce(table: str, channel: str, columns: str, organization: str = "organization_id") -> migrations.RunSQL:
    """NOTIFY `channel` with the organization's id whenever one of `columns` changes, whoever changes it.

    Processes that keep such rows in memory listen, so that a revoked key stops at once.
    """
    return migrations.RunSQL(
        f"""
        CREATE FUNCTION {table}_announce() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                PERFORM pg_notify('{channel}', OLD.{organization}::text);
            ELSE
                PERFORM pg_notify('{channel}', NEW.{organization}::text);
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER announce AFTER INSERT OR DELETE OR UPDATE OF {columns} ON {table}
            FOR EACH ROW EXECUTE FUNCTION {table}_announce();
        """,
        f"DROP TRIGGER announce ON {table}; DROP FUNCTION {table}_announce();",
    )
