"""What every page with the filter bar begins with: whose usage, which of it, and the bar itself.

A page is a subclass of `UsagePage` with a `context()` for its template, and a view of one line: `show(request, Costs)`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import msgspec
from django.core.cache import cache
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Membership, Organization, Team
from accounts.permissions import Right, administered_team_ids, may, require
from accounts.requests import OrganizationRequest
from core.errors import ApiError
from metering.dimensions import DIMENSIONS
from metering.query.metrics import Figures
from metering.query.ranges import Span
from metering.query.run import UsageResult, run
from metering.query.spec import TAG, FilterValue
from metering.query.tags import tag_names
from reports.diagnosis.link import diagnosis_url
from reports.exporting import export_menu
from reports.filters import NOTHING, Chosen, dimension_label, dimension_words, hidden_from, period_words
from reports.models import SavedView, Symptom
from reports.saved.bar import current_view, views_menu
from reports.saved.records import visible_views
from reports.series import MEASURES

# The same everywhere: a page with another one would show other totals for the same address.
DEFAULT_RANGE = "month"
TAGS_KEPT_SECONDS = 300
# The values of a filter that its chip has room for.
MOST_NAMED = 3
# What parameters that are no dimension are called inside of a sentence.
PARAMETER_WORDS = {
    "q": "the search",
    "sort": "the order",
    "cursor": "the place in the list",
    "by": "the breakdown",
    "then": "the second breakdown",
    "measure": "the measure",
    "range": "the range",
    "from": "the start",
    "to": "the end",
    "interval": "the interval",
    "compare": "the comparison",
    "with": "these models",
    "rule": "the rule",
    "metric": "the metric",
    "every": "the interval",
    "against": "the comparison",
    "limit": "the number of rows",
}

sees_usage = require(Right.SEE_USAGE, Right.SEE_OWN_USAGE)


class UsagePage(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks at what; everything else is read from the ledger.

    Without the right to see everybody's usage it is one's own, or that of a team one administers: `team` then, and
    `fixed` names the filters that say so, which nobody can take away.
    """

    url_name: ClassVar[str]
    template: ClassVar[str]
    title: ClassVar[str]
    measures: ClassVar[tuple[str, ...]] = tuple(MEASURES)
    # Without one in the address.
    default_range: ClassVar[str] = DEFAULT_RANGE
    # Parameters of the address that only this page takes.
    parameters: ClassVar[tuple[str, ...]] = ()

    organization: Organization
    membership: Membership
    chosen: Chosen
    now: dt.datetime
    fixed: frozenset[str]
    team: Team | None
    teams: tuple[Team, ...]

    @classmethod
    def of(cls, request: OrganizationRequest) -> Self:
        """Raises ApiError: 422 for an address that makes no sense, 403 for a filter the role may not look through."""
        return cls.seen_by(request.organization, request.membership, request.GET, now())

    @classmethod
    def seen_by(cls, organization: Organization, membership: Membership, given: QueryDict, at: dt.datetime) -> Self:
        """The page as a member sees it, with these parameters, at a time. Raises as `of`."""
        chosen = Chosen.read(
            cls.path_in(organization),
            given,
            organization.zone,
            at,
            default_range=cls.default_range,
            measures=cls.measures,
            own=cls.parameters,
        )
        teams = _administered(membership)
        team = _asked(teams, chosen)
        filters, fixed = _kept(membership, chosen, team)
        page = cls(
            organization=organization,
            membership=membership,
            chosen=msgspec.structs.replace(chosen, filters=filters),
            now=at,
            fixed=fixed,
            team=team,
            teams=teams,
        )
        for name in filters:
            if name in page.hidden and name not in fixed:
                raise ApiError(403, "forbidden", f"Your role does not see {dimension_label(name)}.", param=name)
        return page

    @classmethod
    def path_in(cls, organization: Organization) -> str:
        return reverse(cls.url_name, args=[organization.slug])

    def context(self) -> dict[str, Any]:
        """What the page's template needs."""
        raise NotImplementedError

    # ── Asking ──

    def run(self, span: Span | None = None, **other: Any) -> UsageResult:
        return run(self.chosen.query(self.organization.pk, span, **other))

    def run_within(self, filters: dict[str, tuple[FilterValue, ...]], **other: Any) -> UsageResult:
        """The view narrowed to `filters`, which stand in the place of its own of these dimensions."""
        query = self.chosen.query(self.organization.pk, **other)
        return run(msgspec.structs.replace(query, filters={**query.filters, **filters}))

    def sort_of(self, columns: Mapping[str, str], default: str = "") -> str:
        """The order asked for, with "-" before it to descend; `columns` has the list's own, with their labels.

        Raises ApiError 422 for what is none of them.
        """
        sort = self.chosen.given("sort")
        if sort and sort.removeprefix("-") not in columns:
            labels = ", ".join(columns.values())
            raise ApiError(422, "invalid_parameter", f"There is no such order. Lists go by {labels}.", param="sort")
        return sort or default

    def before(self) -> Figures | None:
        """The totals to compare with: as much of the period before as has passed of this one."""
        span = self.chosen.range.previous_so_far
        return self.run(span).totals if self.chosen.is_compared and span.end > span.start else None

    # ── The bar ──

    @property
    def hidden(self) -> frozenset[str]:
        """Dimensions whose values are not this person's to look through. Who has a team sees the people in it."""
        hidden = hidden_from(self.membership.role)
        return hidden - {"member"} if self.team else hidden

    @property
    def dimensions(self) -> list[str]:
        return [name for name in DIMENSIONS if name not in self.hidden and name not in self.fixed]

    @property
    def tags(self) -> list[str]:
        """The tags in use, as dimensions: of what this person may see, as they were some minutes ago."""
        own = {name: values for name, values in self.chosen.filters.items() if name in self.fixed}
        said = ";".join(f"{name}={','.join(map(str, values))}" for name, values in sorted(own.items()))
        key = f"tag-names:{self.organization.pk}:{said}"
        names = cache.get(key)
        if names is None:
            names = tag_names(self.organization.pk, self.now, own)
            cache.set(key, names, TAGS_KEPT_SECONDS)
        return [f"{TAG}{name}" for name in names]

    @property
    def is_narrowed(self) -> bool:
        """Whether the person chose less than all they may see."""
        return not self.chosen.filters.keys() <= self.fixed

    @property
    def whose(self) -> str:
        """Said where the figures are not the whole organization's."""
        if self.team:
            return f"Team {self.team.name}"
        return "Your own usage" if self.fixed else ""

    def head(self) -> dict[str, Any]:
        """Title, period and the bar; the template's `page`."""
        chosen = self.chosen
        span = Span(chosen.range.start, min(chosen.range.end, max(self.now, chosen.range.start)))
        said = (self.whose, period_words(span, chosen.zone), chosen.zone.key)
        bar = chosen.bar(self._filter_labels(), fixed=self.fixed)
        bar["add_filter"] = [
            {
                "label": dimension_label(name),
                "url": chosen.url(reverse("reports:choose", args=[self.organization.slug, self.place, name])),
            }
            for name in (*self.dimensions, *self.tags)
            if name not in chosen.filters
        ]
        return bar | {
            "title": self.title,
            "subtitle": " · ".join(part for part in said if part),
            "whose": self._whose(),
            "notice": self._notice_of_others(),
            "missing_url": self.diagnosis_url(Symptom.MISSING),
            "views": views_menu(self.organization, self.membership, self.place, chosen.parameters),
            "exports": export_menu(self.organization.slug, chosen),
        }

    @property
    def place(self) -> str:
        """The page's word in the address."""
        return self.url_name.partition(":")[2]

    def _whose(self) -> list[dict[str, Any]]:
        """For who administers teams: their own usage, and each team's."""
        if not self.teams:
            return []
        own = {"label": "You", "url": self.chosen.url(team=None, member=None), "is_current": self.team is None}
        return [
            own,
            *(
                {
                    "label": team.name,
                    "url": self.chosen.url(team=team.slug, member=None),
                    "is_current": self.team is not None and self.team.pk == team.pk,
                }
                for team in self.teams
            ),
        ]

    def _notice_of_others(self) -> dict[str, Any] | None:
        """Said where the address asks for somebody whose usage is not this person's to see."""
        own = {str(self.membership.pk), self.membership.user.email}
        asked = [name for name in ("member", "user") if name in self.fixed and name in self.chosen.parameters]
        if all(value in own for name in asked for value in self.chosen.parameters[name]):
            return None
        return {
            "tone": "info",
            "icon": "person",
            "fact": "These figures are your own.",
            "text": "The address asks for somebody else, whose usage your role does not see.",
            "actions": [{"label": "Take it out of the address", "url": self.chosen.url(**dict.fromkeys(asked))}],
        }

    def _filter_labels(self) -> dict[str, str]:
        """What the values of the filters are called: asked of the ledger, which knows them by the keys in the URL."""
        labels = {}
        for name, values in self.chosen.filters.items():
            if name not in self.fixed:
                rows = self.run(group_by=(name,), limit=MOST_NAMED).rows
                found = [row.group[name].label or NOTHING for row in rows]
                given = list(dict.fromkeys(NOTHING if value is None else str(value) for value in values))
                named = found or given[:MOST_NAMED]
                rest = len(given) - len(named)
                labels[name] = ", ".join(named) + (f" and {rest} more" if rest > 0 else "")
        return labels

    # ── The foot ──

    def proof(self, totals: Figures, last_event_at: dt.datetime | None) -> dict[str, Any]:
        slug = self.organization.slug
        return {
            "events": totals.requests,
            "difference": None,
            "unpriced_tokens": totals.unpriced_tokens,
            "last_event_at": last_event_at,
            "prove_url": reverse("metering:integrity", args=[slug])
            if may(self.membership.role, Right.SEE_USAGE)
            else None,
            "recount_url": self.chosen.carried_to(reverse("reports:recount", args=[slug])),
            "diagnosis_url": self.diagnosis_url(Symptom.MISSING),
        }

    def diagnosis_url(self, symptom: Symptom) -> str | None:
        """Where it is asked why these figures look wrong. A member diagnoses their own usage, never a whole team's."""
        if "team" in self.fixed:
            return None
        return diagnosis_url(self.organization, self.chosen, self.now, symptom)


def show(request: OrganizationRequest, kind: type[UsagePage]) -> HttpResponse:
    """The page, or what is wrong with its address and the way back to one that works."""
    try:
        context = kind.of(request).context()
    except ApiError as error:
        context = {"page": {"title": kind.title}, "error": _problem(request, kind, error)}
        return render(request, kind.template, context, status=error.status)
    return render(request, kind.template, context)


def _problem(request: OrganizationRequest, kind: type[UsagePage], error: ApiError) -> dict[str, Any]:
    """What to say of an address that does not work (any more), and the same without the part that is wrong."""
    given = request.GET.copy()
    given.pop(error.param or "", None)
    path = kind.path_in(request.organization)
    is_part = error.param in request.GET
    saved: SavedView | None = current_view(list(visible_views(request.membership)), dict(request.GET.lists()))
    return {
        "title": f"The view {saved.name} no longer works" if saved else "This view does not exist",
        "text": error.message,
        "retry_url": f"{path}?{given.urlencode()}" if is_part and given else path,
        "retry_label": f"Open it without {PARAMETER_WORDS.get(error.param) or dimension_words(error.param)}"
        if is_part and error.param
        else "Open the page",
    }


# ── Whose usage ──


def _administered(membership: Membership) -> tuple[Team, ...]:
    if may(membership.role, Right.SEE_USAGE):
        return ()
    return tuple(Team.objects.filter(pk__in=administered_team_ids(membership)).order_by("name"))


def _asked(teams: tuple[Team, ...], chosen: Chosen) -> Team | None:
    """The team of theirs that the address asks for, and nothing beside it."""
    wanted = chosen.filters.get("team", ())
    return next((team for team in teams if wanted == (team.slug,)), None)


def _kept(
    membership: Membership, chosen: Chosen, team: Team | None
) -> tuple[dict[str, tuple[FilterValue, ...]], frozenset[str]]:
    """The filters that hold whatever the address says, and which of them are not the person's own choice."""
    if may(membership.role, Right.SEE_USAGE):
        return chosen.filters, frozenset()
    if team is not None:
        return {**chosen.filters, "team": (team.pk,)}, frozenset({"team"})
    filters = {name: values for name, values in chosen.filters.items() if name != "user"}
    return {**filters, "member": (membership.pk,)}, frozenset({"member", "user"})
