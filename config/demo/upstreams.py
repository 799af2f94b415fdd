"""The demo organization's upstreams: both lead to the demo's own model."""

from __future__ import annotations

import re

from accounts.models import Organization
from config.demo.model.app import ROOT
from config.demo.model.asked import ANTHROPIC_PATTERNS, OPENAI_PATTERNS
from config.demo.organization import BY
from core.tenancy import organization_scope
from metering.gateway.upstreams import create_upstream, update_upstream
from metering.models import Protocol, Upstream

_OURS = re.compile(rf"http://127\.0\.0\.1:\d+(?P<path>{ROOT}(/v1)?)")


def create(organization: Organization, port: int) -> None:
    """`provider`: its calls are priced as the real models' would be."""
    base = f"http://127.0.0.1:{port}{ROOT}"
    with organization_scope(organization.pk):
        create_upstream(
            organization,
            by=BY,
            name="Demo GPT",
            protocol=Protocol.OPENAI,
            base_url=f"{base}/v1",
            provider="openai",
            models=OPENAI_PATTERNS,
        )
        create_upstream(
            organization,
            by=BY,
            name="Demo Claude",
            protocol=Protocol.ANTHROPIC,
            base_url=base,
            provider="anthropic",
            models=ANTHROPIC_PATTERNS,
        )


def follow(organization: Organization, port: int) -> None:
    """The model listens on another port after each start. What people have pointed elsewhere stays."""
    with organization_scope(organization.pk):
        for row in Upstream.objects.all():
            if found := _OURS.fullmatch(row.base_url):
                update_upstream(row, {"base_url": f"http://127.0.0.1:{port}{found['path']}"}, by=BY)
