"""One organization's names in memory: what turns an event's words into references without asking the database.

Entities (projects, members, teams) are loaded whole. Labels are learned as they come up; `learn` interns the
unknown ones of a batch. A directory is thrown away when accounts announces a change (see metering/edge.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from zoneinfo import ZoneInfo

import msgspec

from accounts.models import Membership, Organization, Project, Team, TeamMembership
from core.periods import LocalClock
from core.tenancy import organization_scope
from metering.dimensions import Kind
from metering.models import Ledger
from metering.store.postgres import scope
from metering.store.steps import Execute, Steps

LABEL_KINDS = tuple(
    kind for kind in Kind if kind not in (Kind.TOTAL, Kind.PROJECT, Kind.TEAM, Kind.DEPARTMENT, Kind.MEMBER, Kind.API_KEY)
)
SLOTS = 10
MOST_LABELS = 200_000


class Placement(msgspec.Struct, frozen=True):
    """An entity and the team its usage counts for; 0 is none."""

    id: int
    team_id: int = 0


class Directory:
    def __init__(self, organization_id: int, zone: ZoneInfo) -> None:
        self.organization_id = organization_id
        self.clock = LocalClock(zone)
        self.projects: dict[str, Placement] = {}
        self.projects_by_id: dict[int, Placement] = {}
        self.members: dict[str, Placement] = {}
        self.members_by_id: dict[int, Placement] = {}
        self.departments: dict[int, int] = {}
        self.labels: dict[Kind, dict[str, int]] = {kind: {} for kind in LABEL_KINDS}

    @classmethod
    def load(cls, organization_id: int) -> Directory:
        """Read an organization's names; opens its ledger, in the organization's zone, when it has none yet."""
        with organization_scope(organization_id):
            zone = Organization.objects.values_list("timezone", flat=True).get(pk=organization_id)
            ledger, _ = Ledger.objects.get_or_create(organization_id=organization_id, defaults={"timezone": zone})
            directory = cls(organization_id, ZoneInfo(ledger.timezone))
            directory.departments = {
                team: department or 0 for team, department in Team.objects.values_list("id", "department_id")
            }
            for project_id, slug, team_id in Project.objects.values_list("id", "slug", "team_id"):
                directory.projects[slug] = directory.projects_by_id[project_id] = Placement(project_id, team_id or 0)
            # The oldest place comes last and stays.
            teams = dict(TeamMembership.objects.order_by("-id").values_list("membership_id", "team_id"))
            people = Membership.objects.values_list("id", "user__email", "external_id")
            for member_id, email, external_id in people:
                placement = Placement(member_id, teams.get(member_id, 0))
                directory.members_by_id[member_id] = directory.members[email.lower()] = placement
                if external_id:
                    directory.members[external_id.lower()] = placement
        return directory

    def unknown(self, wanted: Iterable[tuple[Kind, str]]) -> set[tuple[Kind, str]]:
        return {(kind, text) for kind, text in wanted if text not in self.labels[kind]}


# Colors are handed out in order of first appearance; the lock keeps two first appearances from getting the same.
_INTERN = f"""
INSERT INTO metering_label (organization_id, kind, text, slot)
SELECT %(organization)s, new.kind, new.text,
    ((SELECT count(*) FROM metering_label l WHERE l.organization_id = %(organization)s AND l.kind = new.kind)
        + row_number() OVER (PARTITION BY new.kind ORDER BY new.text) - 1) %% {SLOTS} + 1
FROM (
    SELECT * FROM unnest(%(kinds)s::int[], %(texts)s::text[]) AS t (kind, text)
    EXCEPT SELECT kind, text FROM metering_label WHERE organization_id = %(organization)s
) AS new
ON CONFLICT DO NOTHING
"""
_LOCK_LABELS = "SELECT pg_advisory_xact_lock(7043, %s)"
_FIND = """
SELECT kind, text, id FROM metering_label JOIN unnest(%s::int[], %s::text[]) AS t (kind, text) USING (kind, text)
WHERE organization_id = %s
"""
_ENSURE_MONTH = "SELECT metering_ensure_month(month) FROM unnest(%s::date[]) AS month"


def learn(directory: Directory, unknown: set[tuple[Kind, str]], months: set[dt.date]) -> Steps[None]:
    """Intern labels the directory does not know, and make partitions for months not seen before.

    One transaction of the caller's, which must be committed before the events are written: what is remembered
    here must not be rolled back with them.
    """
    yield scope([directory.organization_id])
    if months:
        yield Execute(_ENSURE_MONTH, (sorted(months),))
    if not unknown:
        return
    ordered = sorted(unknown)
    kinds, texts = [int(kind) for kind, _ in ordered], [text for _, text in ordered]
    found = yield Execute(_FIND, (kinds, texts, directory.organization_id))
    if len(found) < len(ordered):
        yield Execute(_LOCK_LABELS, (directory.organization_id,))
        parameters = {"organization": directory.organization_id, "kinds": kinds, "texts": texts}
        yield Execute(_INTERN, parameters)
        found = yield Execute(_FIND, (kinds, texts, directory.organization_id))
    for kind, text, label_id in found:
        known = directory.labels[Kind(kind)]
        if len(known) >= MOST_LABELS:
            known.clear()
        known[text] = label_id
