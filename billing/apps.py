from typing import Any

from django.apps import AppConfig
from django.db import connection
from django.db.models.signals import post_migrate


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from accounts.organizations import add_founding_step
        from billing import receivers  # noqa: F401  (they register themselves)
        from metering.proofs import add_check

        add_check("invoices", "billing.invoices.proof.check")
        add_founding_step("plan", "billing.founding.subscribe")
        # A database without plans could found no organization: flushing one brings them back, too.
        post_migrate.connect(_seed_plans, sender=self)


def _seed_plans(**_: Any) -> None:
    from billing.plans import seed_plans

    # While migrating to a state of before, there may be none.
    if "billing_planversion" in connection.introspection.table_names():
        seed_plans()
