"""Facts on their way to the channels: kept, then spread once, whoever was killed in between."""

from __future__ import annotations

from django.utils.module_loading import import_string
from django.utils.timezone import now

from alerts.channels import CHANNELS
from alerts.models import ToldFact
from core.facts import Fact
from core.tenancy import organization_scope, unscoped

MOST_AT_ONCE = 500


def keep(fact: Fact) -> ToldFact | None:
    """Write it down in the transaction of what happened. None when it was known already."""
    kept, is_new = ToldFact.objects.get_or_create(
        organization_id=fact.organization_id,
        kind=fact.kind,
        key=fact.key,
        defaults={
            "data": dict(fact.data),
            "scope": fact.scope,
            "ref": fact.ref,
            "people": list(fact.people),
            "happened_at": fact.happened_at,
        },
    )
    return kept if is_new else None


def spread(organization_id: int, fact_id: int) -> None:
    """Hand one fact to every channel, all or none; nothing when somebody did or does."""
    with organization_scope(organization_id):
        fact = ToldFact.objects.select_for_update(skip_locked=True).filter(pk=fact_id, spread_at=None).first()
        if fact is None:
            return
        for path in CHANNELS.values():
            import_string(path)(fact)
        fact.spread_at = now()
        fact.save(update_fields=["spread_at"])


def waiting() -> list[tuple[int, int]]:
    """(organization, fact) of what no channel has yet, the oldest first: their tasks may have been lost."""
    with unscoped("beat looks after every organization's facts"):
        found = ToldFact.objects.filter(spread_at=None).order_by("recorded_at")
        return list(found.values_list("organization_id", "id")[:MOST_AT_ONCE])
