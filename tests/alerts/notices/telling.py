"""Facts as tests tell them: the examples of the documentation, about somebody of the cast."""

from __future__ import annotations

from typing import Any

from accounts.models import Organization
from alerts.examples import EXAMPLES
from alerts.models import ToldFact
from alerts.tasks import spread_facts
from core.facts import Fact, tell
from core.tenancy import organization_scope


def happen(
    organization: Organization,
    kind: str = "budget.threshold",
    key: str = "1",
    *,
    scope: str = "organization",
    ref: int = 0,
    people: tuple[int, ...] = (),
    **said: Any,
) -> ToldFact:
    """Told, and spread to every channel; `said` replaces what the example says."""
    with organization_scope(organization.pk):
        tell(Fact(kind, organization.pk, key, {**EXAMPLES[kind], **said}, scope, ref, people))
    spread_facts()
    with organization_scope(organization.pk):
        return ToldFact.objects.get(kind=kind, key=key)
