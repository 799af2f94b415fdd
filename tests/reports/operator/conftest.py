from __future__ import annotations

import pytest
from django.utils.timezone import now

from accounts.models import Organization
from tests.metering.query.usage import make_event, write


@pytest.fixture
def usage(acme: Organization, globex: Organization) -> None:
    """Calls of today, which at noon in UTC both organizations have; Acme has a model that nobody priced."""
    at = now().replace(hour=12, minute=0)
    write(
        acme.pk,
        [
            make_event("a1", at, "gpt-4o", provider="openai"),
            make_event("a2", at, "claude-x", provider="anthropic"),
            make_event("a3", at, "odd-one"),
        ],
    )
    write(globex.pk, [make_event("g1", at, "gpt-4o", provider="openai"), make_event("g2", at, "gpt-4o")])
