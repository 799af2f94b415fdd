"""What is found for a few words: calls, chats, files, reports, people, teams, keys, models, each with its address.

Nobody finds what their pages would not show them: members find their own, who administers a team also the team's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.core.cache import cache
from django.db.models import F, Q, QuerySet
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import APIKey, Membership, Organization, Project, Team
from accounts.permissions import Right, administered_team_ids, may
from metering.query.finding import EVERYBODY, Whose, find_call, find_chats, find_files, find_models
from metering.query.ranges import named_range
from metering.query.run import run
from metering.query.spec import UsageQuery
from reports.custom.records import visible_reports
from reports.saved.records import url_of, visible_views

LONGEST = 200
SHORTEST_PART = 2
# A member's models and projects are those of their calls, which no roll-up tells apart: asked for once in a while.
NAMES_SECONDS = 600
NAMES_RANGE = "30d"
MOST_NAMES = 500
# Where all of a kind are listed by what they are called.
_LISTS = {"chats": "reports:chats", "files": "reports:files"}


class Found(msgspec.Struct, frozen=True):
    """One answer; `detail` is the quieter half of its line."""

    label: str
    url: str
    icon: str
    detail: str = ""


class Section(msgspec.Struct, frozen=True):
    """Answers of one kind. `more_url` leads to a list of all, where there is one."""

    key: str
    title: str
    rows: tuple[Found, ...]
    more_url: str = ""


class Lens(msgspec.Struct, frozen=True):
    """Usage that a person may see at once, and the parameters with which pages show it."""

    whose: Whose
    parameters: dict[str, str]


class Searcher(msgspec.Struct, frozen=True):
    """Who asks, for what, and how many answers of a kind they can read. Needs the organization's scope."""

    organization: Organization
    membership: Membership
    wanted: str
    most: int
    lenses: tuple[Lens, ...]

    @classmethod
    def of(cls, organization: Organization, membership: Membership, wanted: str, most: int) -> Searcher:
        return cls(organization, membership, wanted.strip()[:LONGEST], most, _lenses(membership))

    def sections(self) -> Iterator[Section]:
        """The kinds with at least one answer."""
        if not self.wanted or "\0" in self.wanted:
            return
        finders: tuple[tuple[str, str, Callable[[], Iterable[Found]]], ...] = (
            ("calls", "Calls", self._calls),
            ("views", "Saved views", self._views),
            ("reports", "Reports", self._reports),
            ("members", "Members", self._members),
            ("teams", "Teams", self._teams),
            ("projects", "Projects", self._projects),
            ("models", "Models", self._models),
            ("keys", "API keys", self._keys),
            ("files", "Files", self._files),
            ("chats", "Chats", self._chats),
        )
        for key, title, find in finders:
            rows = tuple(find())
            if rows:
                has_more = key in _LISTS and len(rows) == self.most
                yield Section(key, title, rows, self._url(_LISTS[key], q=self.wanted) if has_more else "")

    def _views(self) -> Iterator[Found]:
        for view in visible_views(self.membership).filter(name__icontains=self.wanted)[: self.most]:
            said = f"shared by {view.owner.user}" if view.is_shared else ""
            yield Found(view.name, url_of(view, self.organization.slug), "bookmark", said)

    def _reports(self) -> Iterator[Found]:
        for report in visible_reports(self.membership).filter(name__icontains=self.wanted)[: self.most]:
            said = f"shared by {report.owner.user}" if report.is_shared else ""
            yield Found(report.name, self._url("reports:report", str(report.pk)), "file-earmark-bar-graph", said)

    # ── Calls and chats ──

    def _calls(self) -> Iterator[Found]:
        for lens in self.lenses:
            event = find_call(self.organization.pk, self.wanted, lens.whose)
            if event is not None:
                at = event.occurred_at.astimezone(self.organization.zone)
                url = self._url("reports:call", event.event_id, **lens.parameters)
                yield Found(event.event_id, url, "receipt", f"{event.names['model'].label} · {at:%-d %b %Y, %H:%M}")
                return

    def _chats(self) -> Iterator[Found]:
        if len(self.wanted) < SHORTEST_PART:
            return
        found: dict[str, Any] = {}
        for lens in self.lenses:
            for chat in find_chats(self.organization.pk, self.wanted, lens.whose, most=self.most):
                found.setdefault(chat.chat, (chat, lens))
        newest = sorted(found.values(), key=lambda pair: pair[0].last_at, reverse=True)
        for chat, lens in newest[: self.most]:
            day = f"{chat.last_at.astimezone(self.organization.zone):%-d %b %Y}"
            detail = f"{day} · {chat.chat}" if chat.title else day
            url = self._url("reports:chat", chat.chat, **lens.parameters)
            yield Found(chat.title or chat.chat, url, "chat-left-text", detail)

    def _files(self) -> Iterator[Found]:
        if len(self.wanted) < SHORTEST_PART:
            return
        found: dict[str, Any] = {}
        for lens in self.lenses:
            for file in find_files(self.organization.pk, self.wanted, lens.whose, most=self.most):
                found.setdefault(file.file, (file, lens))
        last = sorted(found.values(), key=lambda pair: pair[0].last_at, reverse=True)
        for file, lens in last[: self.most]:
            day = f"{file.last_at.astimezone(self.organization.zone):%-d %b %Y}"
            detail = f"{day} · {file.file}" if file.name else day
            url = self._url("reports:file", file.file, **lens.parameters)
            yield Found(file.name or file.file, url, "file-earmark-text", detail)

    # ── Who and where ──

    def _members(self) -> Iterator[Found]:
        rows = Membership.objects.select_related("user").filter(
            Q(user__name__icontains=self.wanted)
            | Q(user__email__icontains=self.wanted)
            | Q(external_id__iexact=self.wanted)
        )
        if not self._sees_all:
            rows = rows.filter(places__team__in=self._team_ids).distinct()
        named = rows.order_by(F("ended_at").asc(nulls_first=True), "user__name", "user__email")
        for member in named.prefetch_related("places__team")[: self.most]:
            said = member.user.email if member.ended_at is None else f"{member.user.email} · left"
            parameters = {"member": member.user.email}
            if not self._sees_all:
                teams = [place.team for place in member.places.all() if place.team_id in self._team_ids]
                parameters["team"] = teams[0].slug
            yield Found(str(member.user), self._url("reports:overview", **parameters), "person", said)

    def _teams(self) -> Iterator[Found]:
        rows = Team.objects.select_related("department").filter(self._is_called)
        if not self._sees_all:
            rows = rows.filter(pk__in=self._team_ids)
        for team in rows.order_by("name")[: self.most]:
            department = team.department.name if team.department else ""
            yield Found(team.name, self._url("reports:overview", team=team.slug), "people", department)

    def _projects(self) -> Iterator[Found]:
        rows = Project.objects.filter(self._is_called)
        for lens, project in self._through_lenses(
            rows.order_by(F("archived_at").asc(nulls_first=True), "name"), "project", "slug"
        ):
            said = "archived" if project.archived_at else ""
            url = self._url("reports:overview", **lens.parameters, project=project.slug)
            yield Found(project.name, url, "folder", said)

    def _keys(self) -> Iterator[Found]:
        if not may(self.membership.role, Right.SEE_KEYS):
            return
        rows = APIKey.objects.filter(Q(name__icontains=self.wanted) | Q(prefix__startswith=self.wanted[:12]))
        if not self._sees_all:
            rows = rows.filter(member=self.membership)
        for key in rows.order_by(F("revoked_at").asc(nulls_first=True), "name", "pk")[: self.most]:
            said = f"{key.prefix}… · {key.status}"
            yield Found(key.name, self._url("reports:overview", api_key=key.prefix), "key", said)

    def _models(self) -> Iterator[Found]:
        if self._sees_all:
            named = [(self.lenses[0], name) for name in find_models(self.organization.pk, self.wanted, most=self.most)]
        else:
            first: dict[str, Lens] = {}
            for lens in self.lenses:
                for name in self._names(lens)["model"]:
                    if self.wanted.lower() in name.lower():
                        first.setdefault(name, lens)
            named = [(lens, name) for name, lens in sorted(first.items())[: self.most]]
        for lens, name in named:
            yield Found(name, self._url("reports:models", **lens.parameters, model=name), "cpu")

    # ── Whose ──

    @property
    def _sees_all(self) -> bool:
        return may(self.membership.role, Right.SEE_USAGE)

    @property
    def _team_ids(self) -> list[int]:
        return [lens.whose.team for lens in self.lenses if lens.whose.team is not None]

    @property
    def _is_called(self) -> Q:
        return Q(name__icontains=self.wanted) | Q(slug__istartswith=self.wanted)

    def _through_lenses(self, rows: QuerySet[Any], dimension: str, field: str) -> Iterator[tuple[Lens, Any]]:
        """Of `rows` those that occur in usage the person may see; each through the first lens that shows it."""
        if self._sees_all:
            yield from ((self.lenses[0], row) for row in rows[: self.most])
            return
        seen: dict[str, Lens] = {}
        for lens in self.lenses:
            for name in self._names(lens)[dimension]:
                seen.setdefault(name, lens)
        yield from ((seen[getattr(row, field)], row) for row in rows.filter(**{f"{field}__in": seen})[: self.most])

    def _names(self, lens: Lens) -> dict[str, list[str]]:
        """The models and projects that occur in the last 30 days' usage of a member or a team."""
        whose = f"m{lens.whose.member}" if lens.whose.member else f"t{lens.whose.team}"
        place = f"search:names:{self.organization.pk}:{whose}"
        known: dict[str, list[str]] | None = cache.get(place)
        if known is None:
            span = named_range(NAMES_RANGE, self.organization.zone, now())
            query = UsageQuery(
                self.organization.pk,
                span.start,
                span.end,
                self.organization.zone,
                group_by=("model", "project"),
                filters=lens.whose.filters,
                limit=MOST_NAMES,
            )
            rows = run(query).rows
            known = {
                name: list(dict.fromkeys(key for row in rows if (key := row.group[name].key) is not None))
                for name in query.group_by
            }
            cache.set(place, known, NAMES_SECONDS)
        return known

    def _url(self, name: str, *args: str, **parameters: str) -> str:
        path = reverse(name, args=[self.organization.slug, *args])
        return f"{path}?{urlencode(parameters)}" if parameters else path


def _lenses(membership: Membership) -> tuple[Lens, ...]:
    if may(membership.role, Right.SEE_USAGE):
        return (Lens(EVERYBODY, {}),)
    teams = Team.objects.filter(pk__in=administered_team_ids(membership)).order_by("name")
    own = Lens(Whose(member=membership.pk), {})
    return (own, *(Lens(Whose(team=team.pk), {"team": team.slug}) for team in teams))
