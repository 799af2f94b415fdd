"""System checks: what this machine lacks, said in words that mend it."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register


@register(Tags.compatibility)
def pdf_libraries(**_: Any) -> list[CheckMessage]:
    """Invoices and reports as PDF need Pango, which no wheel brings; everything else works without it."""
    try:
        import weasyprint  # noqa: F401
    except OSError as error:
        return [
            Warning(
                "PDF documents cannot be made on this machine: WeasyPrint does not find the Pango libraries.",
                hint="Debian and Ubuntu: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0. "
                "Fedora: dnf install pango. Alpine: apk add pango. macOS: brew install pango.",
                obj=str(error).splitlines()[0],
                id="core.W001",
            )
        ]
    return []
