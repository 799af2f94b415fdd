"""One organization's names in memory: what turns an event's words into references without asking the database.

Entities (projects, members, teams) are loaded whole. Labels are learned as they come up: `learn` interns the unknown
ones of a batch. A directory is thrown away when accounts announces a change (see metering/keyring.py).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from zoneinfo import ZoneInfo

import msgspec

from accounts.models import Membership, Organization, Project, Team, TeamMembership
from core.periods import LocalClock
from core.tenancy import organization_scope
from metering.dimensions import Kind
from metering.models import Ledger
from metering.store.postgres import scope
from metering.store.steps import Execute, Steps

ENTITY_KINDS = (Kind.TOTAL, Kind.PROJECT, Kind.TEAM, Kind.DEPARTMENT, Kind.MEMBER, Kind.API_KEY)
LABEL_KINDS = tuple(kind for kind in Kind if kind not in ENTITY_KINDS)  # fmt: skip
SLOTS = 10
# A program that makes up names must not fill the memory. It is more than one request can carry.
MOST_LABELS = 100_000
MOST_REFERENCES = 50_000

Label = tuple[Kind, str]
# project, team, department, member, key, model, provider, endpoint, feature, tool, integration, status, user
References = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int]


class Placement(msgspec.Struct, frozen=True):
    """An entity and the team its usage counts for; 0 is none."""

    id: int
    team_id: int = 0


class Directory:
    def __init__(self, organization_id: int, zone: ZoneInfo) -> None:
        self.organization_id = organization_id
        self.clock = LocalClock(zone)
        self._read_at = time.monotonic()
        self.projects: dict[str, Placement] = {}
        self.projects_by_id: dict[int, Placement] = {}
        self.members: dict[str, Placement] = {}
        self.members_by_id: dict[int, Placement] = {}
        self.departments: dict[int, int] = {}
        self.labels: dict[Kind, dict[str, int]] = {kind: {} for kind in LABEL_KINDS}
        # What metering/pipeline.py has worked out for combinations of names it saw.
        self.references: dict[tuple[object, ...], References] = {}
        self._unconfirmed: set[Label] = set()

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
            # An e-mail is somebody's for sure, so it comes after the organization's own names for people.
            people = list(Membership.objects.values_list("id", "user__email", "external_id"))
            for member_id, _, external_id in people:
                directory.members_by_id[member_id] = Placement(member_id, teams.get(member_id, 0))
                if external_id:
                    directory.members[external_id.lower()] = directory.members_by_id[member_id]
            for member_id, email, _ in people:
                directory.members[email.lower()] = directory.members_by_id[member_id]
        return directory

    @property
    def age(self) -> float:
        """Seconds since it was read."""
        return time.monotonic() - self._read_at

    def unknown(self, wanted: Iterable[Label]) -> set[Label]:
        return {(kind, text) for kind, text in wanted if text not in self.labels[kind]}

    def remember(self, labels: Iterable[tuple[int, str, int]]) -> None:
        """Keep what `learn` found: (kind, text, id)."""
        if sum(map(len, self.labels.values())) > MOST_LABELS:
            for known in self.labels.values():
                known.clear()
        for kind, text, label_id in labels:
            self.labels[Kind(kind)][text] = label_id

    def doubt(self, labels: Collection[Label]) -> None:
        """These were learned in a transaction that is still open."""
        self._unconfirmed.update(labels)

    def confirm(self, labels: Collection[Label]) -> None:
        self._unconfirmed.difference_update(labels)

    def forget_doubtful(self) -> None:
        """Labels whose transaction may have been undone are asked for again."""
        if self._unconfirmed:
            for kind, text in self._unconfirmed:
                self.labels[kind].pop(text, None)
            self._unconfirmed.clear()
            self.references.clear()


_LOCK_LABELS = "SELECT pg_advisory_xact_lock(7043, %s)"
_FIND = """
SELECT l.kind, l.text, l.id FROM unnest(%s::int[], %s::text[]) AS wanted (kind, text)
JOIN metering_label l ON l.organization_id = %s AND l.kind = wanted.kind AND l.text = wanted.text
"""
# Colors are handed out in order of first appearance; the lock keeps two first appearances from getting the same.
# Nobody tells colors apart among hundreds, so counting stops there.
_INTERN = f"""
WITH kinds AS (
    SELECT kind, (SELECT count(*) FROM (
        SELECT FROM metering_label l WHERE l.organization_id = %(organization)s AND l.kind = k.kind LIMIT 200
    ) AS counted) AS known FROM (SELECT DISTINCT unnest(%(kinds)s::int[]) AS kind) AS k
)
INSERT INTO metering_label (organization_id, kind, text, slot)
SELECT %(organization)s, new.kind, new.text,
    (kinds.known + row_number() OVER (PARTITION BY new.kind ORDER BY new.text) - 1) %% {SLOTS} + 1
FROM unnest(%(kinds)s::int[], %(texts)s::text[]) AS new (kind, text) JOIN kinds USING (kind)
ON CONFLICT DO NOTHING
RETURNING kind, text, id
"""


Known = tuple[int, str, int]  # kind, text, id


def learn(organization_id: int, unknown: Collection[Label]) -> Steps[list[Known]]:
    """Look labels up, and intern those that nobody has used before. For `Directory.remember`, once committed."""
    yield scope([organization_id])
    found = yield Execute(_FIND, (*_arrays(unknown), organization_id))
    if len(found) < len(unknown):
        yield Execute(_LOCK_LABELS, (organization_id,))
        found = yield Execute(_FIND, (*_arrays(unknown), organization_id))
        known = {(kind, text) for kind, text, _ in found}
        kinds, texts = _arrays(label for label in unknown if label not in known)
        if kinds:
            parameters = {"organization": organization_id, "kinds": kinds, "texts": texts}
            found += yield Execute(_INTERN, parameters)
    return [(kind, text, label_id) for kind, text, label_id in found]


def _arrays(labels: Iterable[Label]) -> tuple[list[int], list[str]]:
    ordered = sorted(labels)
    return [int(kind) for kind, _ in ordered], [text for _, text in ordered]
