"""Who is who: people, the organizations they belong to, how those are divided, and the keys programs use."""

from __future__ import annotations

import zoneinfo
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils.timezone import now

from core.tenancy import TenantManager, TenantModel


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    FINANCE = "finance", "Finance"
    MEMBER = "member", "Member"
    VIEWER = "viewer", "Viewer"


class Scope(models.TextChoices):
    """What an API key may do."""

    USAGE_WRITE = "usage:write", "Send usage"
    USAGE_READ = "usage:read", "Read usage"
    GATEWAY = "gateway", "Call models through the gateway"
    BILLING_READ = "billing:read", "Read invoices and prices"
    ADMIN = "admin", "Administer the organization"


def validate_timezone(value: str) -> None:
    if value not in zoneinfo.available_timezones():
        raise ValidationError("%(value)s is not an IANA time zone.", params={"value": value})


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save()
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    """A person, known by e-mail. What they may do depends on the organization they look at."""

    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=150, blank=True)
    is_active = models.BooleanField(default=True)
    # Runs this installation and sees every organization.
    is_operator = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once")]

    def __str__(self) -> str:
        return self.name or self.email


class OrganizationManager(TenantManager):
    """An organization is its own tenant: its id, not a column beside it, is what the scope names."""

    scope_field = "id"


class Organization(models.Model):
    """The tenant and the payer."""

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    timezone = models.CharField(max_length=64, default="UTC", validators=[validate_timezone])
    currency = models.CharField(max_length=3, default="USD")
    country = models.CharField(max_length=2, blank=True)
    billing_name = models.CharField(max_length=200, blank=True)
    billing_email = models.EmailField(blank=True)
    billing_address = models.TextField(max_length=600, blank=True)
    billing_postal_code = models.CharField(max_length=20, blank=True)
    billing_city = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(default=now)

    objects: ClassVar[OrganizationManager] = OrganizationManager()

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.timezone)


class Department(TenantModel):
    """A part of the organization with a cost center of its own."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="departments")
    name = models.CharField(max_length=120)
    cost_center = models.CharField(max_length=60, blank=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint("organization", Lower("name"), name="department_name_once")]

    def __str__(self) -> str:
        return self.name


class Team(TenantModel):
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="teams")
    department = models.ForeignKey(Department, models.SET_NULL, null=True, blank=True, related_name="teams")
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "slug"], name="team_slug_once")]

    def __str__(self) -> str:
        return self.name


class Project(TenantModel):
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="projects")
    team = models.ForeignKey(Team, models.SET_NULL, null=True, blank=True, related_name="projects")
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60)
    created_at = models.DateTimeField(default=now)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "slug"], name="project_slug_once")]

    def __str__(self) -> str:
        return self.name


class Membership(TenantModel):
    """A user in an organization. Usage is booked on the membership, so it outlives a departure (`ended_at`)."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    # The organization's own name for the person, as usage events may carry it.
    external_id = models.CharField(max_length=200, blank=True)
    teams = models.ManyToManyField(Team, through="TeamMembership", related_name="members")
    created_at = models.DateTimeField(default=now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="member_once"),
            models.UniqueConstraint(
                "organization",
                Lower("external_id"),
                condition=~models.Q(external_id=""),
                name="member_external_id_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization}"


class TeamMembership(TenantModel):
    """A member's place in a team. Usage without a project of a team counts for the member's oldest place."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    team = models.ForeignKey(Team, models.CASCADE, related_name="places")
    membership = models.ForeignKey(Membership, models.CASCADE, related_name="places")
    is_admin = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "membership"], name="team_place_once")]

    def __str__(self) -> str:
        return f"{self.membership} / {self.team}"


class Invitation(TenantModel):
    """An offer of membership, sent by e-mail. Only the hash of its token is kept."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    team = models.ForeignKey(Team, models.SET_NULL, null=True, blank=True)
    digest = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "organization",
                Lower("email"),
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_open_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.organization}"

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= now()


class APIKey(TenantModel):
    """A program's key. The secret is shown once and kept as a hash; a revoked key stays for its history."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64)
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope.choices))
    project = models.ForeignKey(Project, models.SET_NULL, null=True, blank=True, related_name="api_keys")
    # The member whose key it is; a service's key has none.
    member = models.ForeignKey(Membership, models.SET_NULL, null=True, blank=True, related_name="api_keys")
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    # The key that took over when this one was rotated; both work until `expires_at`.
    replaced_by = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="replaces")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def status(self) -> str:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now() else "active"


class AuditEntry(TenantModel):
    """Who did what, when, from where. Rows are only ever added."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="audit_entries")
    at = models.DateTimeField(db_default=Now())
    actor = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    # How the actor was called then: an e-mail, a key's prefix, or a command.
    actor_label = models.CharField(max_length=254)
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=60)
    target_id = models.CharField(max_length=60, blank=True)
    target_label = models.CharField(max_length=254, blank=True)
    # {"field": [before, after]}
    changes = models.JSONField(default=dict)
    ip_address = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [models.Index(fields=["organization", "-at"], name="audit_by_time")]
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.target_label}"


class Impersonation(TenantModel):
    """An operator in a member's place, from `begun_at` until `expires_at` or `ended_at` (impersonation.py)."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    membership = models.ForeignKey(Membership, models.CASCADE, related_name="+")
    operator = models.ForeignKey(User, models.CASCADE, related_name="+")
    # May do what the member may; otherwise only look.
    is_full = models.BooleanField(default=False)
    reason = models.CharField(max_length=200)
    begun_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["expires_at"], condition=models.Q(ended_at=None), name="impersonation_open")]

    def __str__(self) -> str:
        return f"{self.operator} as {self.membership}"


class IdempotentAnswer(TenantModel):
    """The answer to a POST that carried an Idempotency-Key, for when it is sent again (idempotency.py)."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    sealed = models.BinaryField(default=bytes)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "key"], name="idempotency_key_once")]
        indexes = [models.Index(fields=["created_at"], name="idempotent_answer_age")]

    def __str__(self) -> str:
        return self.key
