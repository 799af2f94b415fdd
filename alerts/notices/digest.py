"""Many messages as one e-mail, at the hour its reader chose."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.timezone import now

from alerts.channels.email import about, hand_over, headers_of, reachable
from alerts.channels.errors import RefusedError
from alerts.letters import letter_of
from alerts.models import Dispatch, Preference, Timing, Way
from alerts.notices.sending import attempt, conclude
from alerts.notices.unsubscribe import DIGEST, link_of
from core import emails
from core.tenancy import organization_scope, unscoped

# What one e-mail lists; the inbox has all of it.
MOST_LISTED = 50


def due_members() -> list[tuple[int, int]]:
    """(organization, member) of whose digest is due."""
    with unscoped("beat looks after everybody's digest"):
        return list(
            _due().order_by("organization_id", "member_id").values_list("organization_id", "member_id").distinct()
        )


def send_digest(organization_id: int, member_id: int) -> None:
    """One e-mail of all that is due; nothing where somebody sends it already."""
    with organization_scope(organization_id):
        # The row that says when: who has it locked sends.
        if Timing.objects.select_for_update(skip_locked=True).filter(member_id=member_id).first() is None:
            return
        rows = list(
            _due()
            .filter(member_id=member_id)
            .select_related("fact", "organization", "member__user")
            .order_by("fact__happened_at", "pk")
        )
        if not rows:
            return
        off = set(
            Preference.objects.filter(member_id=member_id, way=Way.EMAIL, is_on=False).values_list("kind", flat=True)
        )
        wanted = [row for row in rows if row.fact.kind not in off]
        unwanted = [row for row in rows if row.fact.kind in off]
        if unwanted:
            conclude(unwanted, RefusedError("Turned off meanwhile."))
        if wanted:
            conclude(wanted, attempt(lambda: _send(wanted)))


def _send(rows: list[Dispatch]) -> None:
    member, organization = reachable(rows[0]), rows[0].organization
    unsubscribe = link_of(member, DIGEST)
    letters = [letter_of(row.fact, organization) for row in rows[:MOST_LISTED]]
    context = {
        "entries": [{"letter": letter, "link": emails.absolute(letter.path)} for letter in letters],
        "count": len(rows),
        "more": max(0, len(rows) - MOST_LISTED),
        "unsubscribe": unsubscribe,
    }
    headers = headers_of(rows[0], unsubscribe)
    hand_over(emails.compose("digest", member.user.email, context | about(member), headers))


def _due() -> QuerySet[Dispatch]:
    rows: QuerySet[Dispatch] = Dispatch.objects.filter(
        sent_at=None, given_up_at=None, is_in_digest=True, due_at__lte=now()
    )
    return rows
