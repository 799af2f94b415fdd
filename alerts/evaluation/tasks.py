"""What workers do for rules and budgets. Every task opens the scope of its organization itself."""

from __future__ import annotations

import datetime as dt

import structlog
from celery import shared_task
from django.utils.timezone import now
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from accounts.models import Organization
from alerts.evaluation.evaluate import evaluate
from alerts.evaluation.touching import TASK, enqueue, forget
from alerts.models import AlertRule
from billing.budgets.crossings import watch_budgets
from core.tenancy import organization_scope, unscoped

logger = structlog.get_logger(__name__)


@shared_task(name=TASK)
def evaluate_organization(organization_id: int) -> None:
    """Seconds after usage: what it changes for rules and for budgets, from totals that are read again."""
    # Usage that is stored from here on asks for another evaluation.
    forget(organization_id)
    with organization_scope(organization_id):
        organization = Organization.objects.filter(pk=organization_id).first()
    if organization is None:
        return
    watch_budgets(organization, now())
    evaluate(organization, now())


@shared_task(name="alerts.evaluate_due")
def evaluate_due() -> None:
    """Beat: rules for which the clock says something, and those whose evaluation was lost.

    A task for each organization, unless one is on its way."""
    try:
        enqueue(due_organizations(now()))
    except (RedisError, OperationalError) as error:
        logger.warning("evaluations_not_enqueued", error=repr(error))


def due_organizations(at: dt.datetime) -> set[int]:
    with unscoped("beat looks after every organization's rules"):
        due = AlertRule.objects.filter(archived_at=None, is_enabled=True, due_at__lte=at)
        return set(due.values_list("organization_id", flat=True).distinct())
