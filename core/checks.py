"""System checks: what this machine lacks, said in words that mend it."""

from __future__ import annotations

import ctypes
from typing import Any

from django.core import checks
from django.core.checks import Tags, register


@register(Tags.compatibility)
def pdf_libraries(**_: Any) -> list[checks.CheckMessage]:
    """Invoices and reports as PDF need Pango, which no wheel brings; everything else works without it."""
    missing = [names[0] for names in _LIBRARIES if not any(map(_loads, names))]
    if not missing:
        return []
    return [
        checks.Warning(
            f"PDF documents cannot be made on this machine: WeasyPrint needs {' and '.join(missing)}.",
            hint="Debian and Ubuntu: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0. "
            "Fedora: dnf install pango. Alpine: apk add pango. macOS: brew install pango.",
            id="core.W001",
        )
    ]


# Asked of the loader itself: importing WeasyPrint to find out would cost every command half a second.
_LIBRARIES = (
    ("libpango-1.0.so.0", "libpango-1.0.dylib", "libpango-1.0-0.dll"),
    ("libpangoft2-1.0.so.0", "libpangoft2-1.0.dylib", "libpangoft2-1.0-0.dll"),
    ("libharfbuzz-subset.so.0", "libharfbuzz-subset.0.dylib", "libharfbuzz-subset-0.dll"),
)


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
