"""What references are called: labels, projects, teams, departments, members, keys; and the way back, from words.

Everything here runs inside the organization's scope, so a name of another tenant's is as unknown as a misspelled one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from django.db import connection
from django.db.models.functions import Lower

from accounts.models import APIKey, Department, Membership, Project, Team
from metering.dimensions import DIMENSIONS, Kind
from metering.models import Label
from metering.query.event_sql import Filters, Wanted
from metering.query.rate_parts import PRICE, RATE_PARTS
from metering.query.spec import FilterValue, check_values, is_text, refusal

SLOTS = 10
_LARGEST_ID = 2**31 - 1


class GroupValue(msgspec.Struct, frozen=True, gc=False):
    """One value of a dimension. `key` goes back into a filter, `label` is for people, `slot` (1 to 10) is its color.

    Without a value (ref 0) all but `ref` are None; of something deleted only `label` is.
    """

    ref: int | str | None
    key: str | None
    label: str | None
    slot: int | None = None


NONE = GroupValue(0, None, None)


# ── From references to names ──


def name_refs(organization_id: int, refs: Mapping[str, Iterable[int]]) -> dict[str, dict[int, GroupValue]]:
    """Every reference's name by dimension, 0 and unknown ones included; one query for all labels, one per entity."""
    numbers = {
        dimension: {number: GroupValue(number, str(number), str(number)) for number in values}
        for dimension, values in refs.items()
        if dimension in RATE_PARTS
    }
    wanted = {dimension: set(values) - {0} for dimension, values in refs.items() if dimension not in numbers}
    label_ids = set().union(*(wanted[name] for name in wanted if DIMENSIONS[name].is_label))
    labels = _labels(organization_id, label_ids) if label_ids else {}
    named: dict[str, dict[int, GroupValue]] = dict(numbers)
    for dimension, ids in wanted.items():
        if DIMENSIONS[dimension].is_label:
            found = {pk: labels[pk] for pk in ids & labels.keys()}
        elif ids:
            rows = _ENTITIES[dimension](organization_id, ids)
            found = {pk: GroupValue(pk, key, name, _slot(pk)) for pk, key, name in rows}
        else:
            found = {}
        unknown = {pk: GroupValue(pk, str(pk), None) for pk in ids - found.keys()}
        named[dimension] = {0: NONE, **found, **unknown}
    return named


def _labels(organization_id: int, ids: set[int]) -> dict[int, GroupValue]:
    rows = Label.objects.filter(organization_id=organization_id, pk__in=ids).values_list("pk", "text", "slot")
    return {pk: GroupValue(pk, text, text, slot) for pk, text, slot in rows}


def name_texts(organization_id: int, dimension: str, texts: Iterable[str | None]) -> dict[str | None, GroupValue]:
    """A text is its own name; a chat is called by its title."""
    known = [text for text in texts if text is not None]
    named: dict[str | None, GroupValue] = {text: GroupValue(text, text, text) for text in known}
    if dimension == "chat" and known:
        for chat, title in chat_titles(organization_id, known).items():
            named[chat] = GroupValue(chat, chat, title)
    named[None] = GroupValue(None, None, None)
    return named


# The key begins with the month, so each month is looked up by itself instead of reading every chat there is.
_TITLES = """
SELECT DISTINCT ON (c.chat) c.chat, c.title
FROM (
    SELECT DISTINCT date_trunc('month', day)::date AS month FROM metering_usage_day
    WHERE organization_id = %s AND kind = 0
) AS m
JOIN metering_usage_chat c ON c.organization_id = %s AND c.month = m.month AND c.chat = ANY(%s)
WHERE c.title IS NOT NULL ORDER BY c.chat, c.titled_at DESC
"""


def chat_titles(organization_id: int, chats: list[str]) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(_TITLES, [organization_id, organization_id, chats])
        return dict(cursor.fetchall())


def _slot(entity_id: int) -> int:
    return (entity_id - 1) % SLOTS + 1


_Named = Iterable[tuple[int, str, str]]


def _projects(organization_id: int, ids: set[int]) -> _Named:
    return Project.objects.filter(organization_id=organization_id, pk__in=ids).values_list("pk", "slug", "name")


def _teams(organization_id: int, ids: set[int]) -> _Named:
    return Team.objects.filter(organization_id=organization_id, pk__in=ids).values_list("pk", "slug", "name")


def _departments(organization_id: int, ids: set[int]) -> _Named:
    return Department.objects.filter(organization_id=organization_id, pk__in=ids).values_list("pk", "name", "name")


def _members(organization_id: int, ids: set[int]) -> _Named:
    rows = Membership.objects.filter(organization_id=organization_id, pk__in=ids)
    for pk, email, name in rows.values_list("pk", "user__email", "user__name"):
        yield pk, email, name or email


def _api_keys(organization_id: int, ids: set[int]) -> _Named:
    return APIKey.objects.filter(organization_id=organization_id, pk__in=ids).values_list("pk", "prefix", "name")


_ENTITIES: dict[str, Callable[[int, set[int]], _Named]] = {
    "project": _projects,
    "team": _teams,
    "department": _departments,
    "member": _members,
    "api_key": _api_keys,
}


# ── From words to references ──


def resolve_filters(organization_id: int, filters: Mapping[str, tuple[FilterValue, ...]]) -> Filters:
    """Filter values as the tables have them. A label nobody used matches nothing.

    Raises ApiError 422 for an entity nobody knows, and for what no table can hold.
    """
    resolved: dict[str, Wanted] = {}
    labels: list[tuple[int, str]] = []
    for name, values in filters.items():
        check_values(name, values)
        words = [value for value in values if isinstance(value, str)]
        numbers = [value for value in values if isinstance(value, int) and 0 <= value <= _LARGEST_ID]
        if is_text(name):
            resolved[name] = Wanted(
                texts=tuple(map(str, (v for v in values if v is not None))), with_none=None in values
            )
            continue
        refs = [*numbers, *([0] if None in values else [])]
        if name == PRICE:
            resolved[name] = Wanted(refs=tuple(refs))
            continue
        dimension = DIMENSIONS[name]
        if dimension.is_label:
            labels.extend((int(dimension.kind), word) for word in words)
        elif words:
            refs.extend(_entity_ids(organization_id, name, words))
        resolved[name] = Wanted(refs=tuple(refs))
    for kind, ids in _label_ids(organization_id, labels).items():
        name = next(d.name for d in DIMENSIONS.values() if d.kind == kind)
        resolved[name] = Wanted(refs=(*resolved[name].refs, *ids))
    return resolved


_FIND_LABELS = """
SELECT l.kind, l.id FROM metering_label l JOIN unnest(%s::int[], %s::text[]) AS wanted (kind, text) USING (kind, text)
WHERE l.organization_id = %s
"""


def _label_ids(organization_id: int, labels: list[tuple[int, str]]) -> dict[Kind, list[int]]:
    found: dict[Kind, list[int]] = {}
    if labels:
        with connection.cursor() as cursor:
            cursor.execute(_FIND_LABELS, [[kind for kind, _ in labels], [text for _, text in labels], organization_id])
            for kind, label_id in cursor.fetchall():
                found.setdefault(Kind(kind), []).append(label_id)
    return found


# Entity → its words: the columns a value may be, compared without regard to case.
_WORDS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "project": (Project, ("slug",)),
    "team": (Team, ("slug",)),
    "department": (Department, ("name",)),
    "member": (Membership, ("user__email", "external_id")),
    "api_key": (APIKey, ("prefix",)),
}


def _entity_ids(organization_id: int, dimension: str, words: list[str]) -> list[int]:
    model, columns = _WORDS[dimension]
    known: dict[str, int] = {}
    for column in columns:
        exact = column == "prefix"
        rows = model.objects.filter(organization_id=organization_id).annotate(word=Lower(column))
        wanted = rows.filter(prefix__in=words) if exact else rows.filter(word__in=[word.lower() for word in words])
        found = wanted.values_list("prefix" if exact else "word", "pk")
        known.update((word if exact else word.lower(), pk) for word, pk in found)
    ids = []
    for word in words:
        found_id = known.get(word, known.get(word.lower()))
        if found_id is None and word.isascii() and word.isdigit() and int(word) <= _LARGEST_ID:
            found_id = int(word)  # what was deleted is still told by its number
        if found_id is None:
            raise refusal(f"There is no {dimension.replace('_', ' ')} {word!r}.", dimension)
        ids.append(found_id)
    return ids
