"""How requests name what belongs to the organization: projects and teams by slug, members by e-mail."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from accounts.members import active_members
from accounts.models import Department, Membership, Project, Team


@extend_schema_field(OpenApiTypes.STR)
class NameField(serializers.Field[Any, Any, str, Any]):
    """A row of the organization by a name of its own."""

    noun: ClassVar[str]
    attribute: ClassVar[str]

    def rows(self) -> QuerySet[Any]:
        raise NotImplementedError

    def to_internal_value(self, data: Any) -> Any:
        # What the database cannot hold is nobody's name.
        is_text = isinstance(data, str) and "\0" not in data and not any("\ud800" <= sign <= "\udfff" for sign in data)
        row = self.rows().filter(**{f"{self.attribute}__iexact": data}).first() if is_text else None
        if row is None:
            raise serializers.ValidationError(f"There is no such {self.noun}.")
        return row

    def to_representation(self, value: Any) -> str:
        for name in self.attribute.split("__"):
            value = getattr(value, name)
        return str(value)


class ProjectField(NameField):
    """A project's slug."""

    noun, attribute = "project", "slug"

    def rows(self) -> QuerySet[Project]:
        return Project.objects.filter(archived_at=None)


class TeamField(NameField):
    """A team's slug."""

    noun, attribute = "team", "slug"

    def rows(self) -> QuerySet[Team]:
        return Team.objects.all()


class DepartmentField(NameField):
    """A department's name."""

    noun, attribute = "department", "name"

    def rows(self) -> QuerySet[Department]:
        return Department.objects.all()


class MemberField(NameField):
    """A member's e-mail."""

    noun, attribute = "member", "user__email"

    def rows(self) -> QuerySet[Membership]:
        return active_members()


def page_of(name: str, rows: serializers.BaseSerializer[Any]) -> serializers.Serializer[Any]:
    """The envelope of a list, for the API description."""
    return inline_serializer(
        name,
        {
            "data": rows,
            "has_more": serializers.BooleanField(),
            "next_cursor": serializers.CharField(allow_null=True),
        },
    )
