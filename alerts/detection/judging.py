"""Everything unusual in an organization's usage at a moment."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from accounts.models import Organization
from alerts.detection.deviations import find_deviations
from alerts.detection.draft import Draft
from alerts.detection.explaining import Explainer, RefBreakdown, RefPart
from alerts.detection.finding import Breakdown, Finding, Part
from alerts.detection.first_uses import find_first_uses
from alerts.detection.folding import fold
from alerts.detection.quiet_hours import find_quiet_hours
from alerts.detection.switches import find_switches
from alerts.detection.usage_hours import ORGANIZATION, UsageHours, read_usage_hours
from alerts.detection.wording import sentence
from core.tenancy import organization_scope
from metering.query.labels import GroupValue, name_refs, name_texts

# Names by dimension and reference.
Names = Mapping[str, Mapping[int | str, GroupValue]]
Explained = tuple[Draft, Sequence[RefBreakdown]]


def judge(organization: Organization, now: dt.datetime) -> list[Finding]:
    """What is unusual now, or was until a few hours ago; nothing that happened after `now` counts.

    The same again when asked again, as long as no older usage was added. A figure is told from its first unusual hour
    until three usual ones have passed; a first use for a day; a switch of models all the day after. Opens the
    organization's scope.
    """
    with organization_scope(organization.pk):
        usage = read_usage_hours(organization.pk, now)
        if usage is None:
            return []
        drafts = [*find_in_hours(usage), *find_switches(organization.pk, usage)]
        if not drafts:
            return []
        explainer = Explainer(organization.pk, usage)
        explained = [(draft, explainer.explain(draft)) for draft in drafts]
        names = read_names(organization, explained)
    return make_findings(organization, usage, explained, names)


def find_in_hours(usage: UsageHours) -> list[Draft]:
    """All that hours by key and model tell, switches of models aside."""
    return [*find_deviations(usage), *find_first_uses(usage), *find_quiet_hours(usage)]


def make_findings(
    organization: Organization, usage: UsageHours, explained: Iterable[Explained], names: Names
) -> list[Finding]:
    return fold([_finding(organization, usage, draft, parts, names) for draft, parts in explained])


def read_names(organization: Organization, explained: Iterable[Explained]) -> Names:
    """One query for each dimension, however many findings. Needs the organization's scope."""
    refs: dict[str, set[int]] = defaultdict(set)
    chats: set[str | None] = set()
    for draft, breakdowns in explained:
        if isinstance(draft.ref, str):
            chats.add(draft.ref)
        elif draft.scope != ORGANIZATION:
            refs[draft.scope].add(draft.ref)
        if draft.switch is not None:
            refs["model"] |= {draft.switch.source, draft.switch.target}
        for breakdown in breakdowns:
            refs[breakdown.dimension] |= {part.ref for part in breakdown.parts if not part.others}
    named: dict[str, dict[int | str, GroupValue]] = {
        name: dict(found.items()) for name, found in name_refs(organization.pk, refs).items()
    }
    if chats:
        texts = name_texts(organization.pk, "chat", chats)
        named["chat"] = {chat: value for chat, value in texts.items() if chat is not None}
    return named


def _finding(
    organization: Organization, usage: UsageHours, draft: Draft, breakdowns: Sequence[RefBreakdown], names: Names
) -> Finding:
    ref, label = _subject(organization, draft, names)
    parts = tuple(
        Breakdown(one.dimension, tuple(_part(part, names[one.dimension]) for part in one.parts), one.remainder)
        for one in breakdowns
    )
    switch = draft.switch
    models = ("", "")
    if switch is not None:
        models = (_label(names["model"][switch.source]), _label(names["model"][switch.target]))
    clock = usage.clock
    return Finding(
        kind=draft.kind,
        scope=draft.scope,
        ref=ref,
        label=label,
        measure=draft.measure,
        period_start=clock.starts[draft.first],
        period_end=clock.end_of(draft.last),
        actual=draft.actual,
        expected=draft.expected,
        low=draft.low,
        high=draft.high,
        basis=draft.basis,
        score=draft.score,
        parts=parts,
        text=sentence(draft, label, parts, clock, models),
        requests=draft.requests,
    )


def _subject(organization: Organization, draft: Draft, names: Names) -> tuple[int | str, str]:
    """How a rule names it: an entity by its id, a label by its text."""
    if draft.scope == ORGANIZATION:
        return 0, organization.name
    value = names[draft.scope][draft.ref]
    is_entity = draft.scope == "api_key"
    return draft.ref if is_entity else value.key or "", _label(value)


def _part(part: RefPart, named: Mapping[int | str, GroupValue]) -> Part:
    if part.others:
        return Part(None, f"{part.others} others", part.actual, part.expected, is_rest=True)
    value = named[part.ref]
    return Part(value.key, _label(value), part.actual, part.expected)


def _label(value: GroupValue) -> str:
    return value.label or ("none" if value.key is None else f"deleted {value.key}")
