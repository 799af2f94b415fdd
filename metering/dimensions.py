"""The dimensions usage is told apart by: one list for columns, roll-ups, queries, filters and pages."""

from __future__ import annotations

import enum

import msgspec


class Kind(enum.IntEnum):
    """Which dimension a day-cube row or a label speaks of. Numbers are stored: never reuse one."""

    TOTAL = 0
    MODEL = 1
    PROVIDER = 2
    ENDPOINT = 3
    PROJECT = 4
    TEAM = 5
    DEPARTMENT = 6
    MEMBER = 7
    API_KEY = 8
    FEATURE = 9
    TOOL = 10
    INTEGRATION = 11
    STATUS = 12
    USER = 13
    END_USER = 14


class Dimension(msgspec.Struct, frozen=True):
    """`name` is the API's word, `column` the event table's. 0 in that column means "none"."""

    name: str
    kind: Kind
    column: str
    # Texts are interned in metering_label; entities are rows of accounts.
    is_label: bool


DIMENSIONS: dict[str, Dimension] = {
    dimension.name: dimension
    for dimension in (
        Dimension("model", Kind.MODEL, "model_id", True),
        Dimension("provider", Kind.PROVIDER, "provider_id", True),
        Dimension("endpoint", Kind.ENDPOINT, "endpoint_id", True),
        Dimension("project", Kind.PROJECT, "project_id", False),
        Dimension("team", Kind.TEAM, "team_id", False),
        Dimension("department", Kind.DEPARTMENT, "department_id", False),
        Dimension("member", Kind.MEMBER, "member_id", False),
        Dimension("api_key", Kind.API_KEY, "api_key_id", False),
        Dimension("feature", Kind.FEATURE, "feature_id", True),
        Dimension("tool", Kind.TOOL, "tool_id", True),
        Dimension("integration", Kind.INTEGRATION, "integration_id", True),
        Dimension("status", Kind.STATUS, "status_id", True),
        Dimension("user", Kind.USER, "user_id", True),
        Dimension("end_user", Kind.END_USER, "end_user_id", True),
    )
}

# The hour roll-up keeps these apart, in the order of its primary key.
HOUR_DIMENSIONS = ("project", "api_key", "model", "provider")
