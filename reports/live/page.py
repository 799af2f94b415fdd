"""A page whose figures move while one looks (docs/decisions/0008-live-figures.md)."""

from __future__ import annotations

from typing import ClassVar

from django.urls import reverse

from reports.page import UsagePage


class LivePage(UsagePage, frozen=True, kw_only=True):
    """`body_template` is what moves: it takes the page's context and no request."""

    body_template: ClassVar[str]

    @property
    def live(self) -> dict[str, str] | None:
        """Where the figures' changes come from, while there may be any; the template's `page.live`."""
        chosen = self.chosen
        if not chosen.range.start <= self.now < chosen.range.end:
            return None
        stream, poll = (
            chosen.url(reverse(f"{self.url_name}-{name}", args=[self.organization.slug])) for name in ("stream", "live")
        )
        return {"stream_url": stream, "poll_url": poll}
