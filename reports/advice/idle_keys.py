"""Keys that nobody uses and that still open doors: no money, a risk."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.db.models import Q

from accounts.models import APIKey, Scope
from accounts.permissions import Right
from core.periods import local_day
from reports.advice.kind import Context, Finding, Kind, Piece, Work
from reports.models import Effort

IDLE = dt.timedelta(days=60)
_SUBJECT = "key:"


def _find(context: Context) -> Iterator[Finding]:
    since = context.now - IDLE
    works = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=context.now))
    unused = Q(last_used_at__lt=since) | Q(last_used_at=None, created_at__lt=since)
    for key in APIKey.objects.filter(works, unused).select_related("project").order_by("pk"):
        yield _tell(key, context)


def _tell(key: APIKey, context: Context) -> Finding:
    at = key.last_used_at or key.created_at
    day, days = local_day(at, context.zone), (context.now - at).days
    rights = ", ".join(Scope(scope).label.lower() for scope in key.scopes) or "none"
    used = f"last used on {_written(day)}" if key.last_used_at else "never used"
    return Finding(
        subject=f"{_SUBJECT}{key.pk}",
        title=f"Revoke the key {key.name}, unused for {days} days",
        text=(
            f"The key {key.name} ({key.prefix}…) was {used} and still works. Whoever finds it in an old file or log can"
            " use it in your name. Revoke it under Settings, API keys; a new one is made in a minute."
        ),
        pieces=[Piece(key.prefix, at, None, None, used)],
        effort=Effort.SMALL,
        terms=(
            ("Idle is", f"a key not used for {IDLE.days} days that is neither revoked nor expired"),
            ("It may", rights),
            ("Project", key.project.name if key.project else "any"),
            ("Made", _written(local_day(key.created_at, context.zone))),
            ("Savings", "none: this is about risk"),
        ),
        caveat="A job that runs once a quarter or a year has reason to keep its key.",
    )


def _written(day: dt.date) -> str:
    return f"{day.day} {day:%B %Y}"


def _work(_context: Context, _subject: str) -> Work:
    """None: there is no cost to compare."""
    return Work(0, 0)


KIND = Kind(
    "idle_keys",
    "Idle keys",
    "key",
    f"Keys that nobody has used for {IDLE.days} days and that still work.",
    _find,
    _work,
    evidence="keys",
    needs=Right.SEE_KEYS,
)
