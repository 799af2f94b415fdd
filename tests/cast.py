"""The cast of the tests: who they are stays the same in every file.

- `acme` (Berlin) is the organization. `alice` owns it, `adam` is admin, `fiona` finance, `bob` a member (of the team
  `search`), `vera` a viewer.
- `charlie` is the stranger: he owns `globex` (New York) and must never see anything of Acme's.
- `olga` is the operator of the installation and belongs to no organization.

`<person>_client` is a browser logged in as that person; pytest-django's `client` is nobody's. `acme_key` and
`globex_key` are `Key(row, secret, client)` with every scope; `acme_api` and `globex_api` send them. `new_key(...)` and
`new_person(...)` make more. `in_acme` opens Acme's scope for the whole test (not in transactional tests).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from accounts.keys import digest_of, new_secret, prefix_of
from accounts.models import (
    APIKey,
    Department,
    Membership,
    Organization,
    Project,
    Role,
    Scope,
    Team,
    TeamMembership,
    User,
)
from core.tenancy import organization_scope, unscoped

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Key:
    row: APIKey
    secret: str

    @property
    def client(self) -> Client:
        return Client(headers={"authorization": f"Bearer {self.secret}"})


def make_user(name: str, *, is_operator: bool = False, domain: str = "acme.test") -> User:
    user = User.objects.create_user(f"{name}@{domain}", PASSWORD, name=name.capitalize(), is_operator=is_operator)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def make_member(organization: Organization, name: str, role: Role, *, domain: str = "acme.test") -> User:
    user = make_user(name, domain=domain)
    with organization_scope(organization.id):
        Membership.objects.create(organization=organization, user=user, role=role)
    return user


def make_key(organization: Organization, scopes: Iterable[str] = tuple(Scope.values), **fields: object) -> Key:
    secret = new_secret()
    with organization_scope(organization.id):
        row = APIKey.objects.create(
            organization=organization,
            name=str(fields.pop("name", "Test key")),
            prefix=prefix_of(secret),
            digest=digest_of(secret),
            scopes=list(scopes),
            **fields,
        )
    return Key(row, secret)


def membership_of(user: User, organization: Organization) -> Membership:
    with organization_scope(organization.id):
        return Membership.objects.select_related("user", "organization").get(user=user)


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


# ── Organizations ──


@pytest.fixture
def acme(db: None) -> Organization:
    with unscoped("test cast"):
        return Organization.objects.create(name="Acme", slug="acme", timezone="Europe/Berlin", country="DE")


@pytest.fixture
def globex(db: None) -> Organization:
    with unscoped("test cast"):
        return Organization.objects.create(name="Globex", slug="globex", timezone="America/New_York", country="US")


@pytest.fixture
def in_acme(acme: Organization) -> Iterator[Organization]:
    with organization_scope(acme.id):
        yield acme


@pytest.fixture
def engineering(acme: Organization) -> Department:
    with organization_scope(acme.id):
        return Department.objects.create(organization=acme, name="Engineering", cost_center="CC-100")


@pytest.fixture
def search(acme: Organization, engineering: Department) -> Team:
    """The team bob belongs to, in the department Engineering."""
    with organization_scope(acme.id):
        return Team.objects.create(organization=acme, department=engineering, name="Search", slug="search")


@pytest.fixture
def website(acme: Organization, search: Team) -> Project:
    """A project of the team Search."""
    with organization_scope(acme.id):
        return Project.objects.create(organization=acme, team=search, name="Website", slug="website")


# ── People ──


@pytest.fixture
def alice(acme: Organization) -> User:
    return make_member(acme, "alice", Role.OWNER)


@pytest.fixture
def adam(acme: Organization) -> User:
    return make_member(acme, "adam", Role.ADMIN)


@pytest.fixture
def fiona(acme: Organization) -> User:
    return make_member(acme, "fiona", Role.FINANCE)


@pytest.fixture
def bob(acme: Organization, search: Team) -> User:
    user = make_member(acme, "bob", Role.MEMBER)
    with organization_scope(acme.id):
        TeamMembership.objects.create(organization=acme, team=search, membership=Membership.objects.get(user=user))
    return user


@pytest.fixture
def vera(acme: Organization) -> User:
    return make_member(acme, "vera", Role.VIEWER)


@pytest.fixture
def charlie(globex: Organization) -> User:
    return make_member(globex, "charlie", Role.OWNER, domain="globex.test")


@pytest.fixture
def olga(db: None) -> User:
    return make_user("olga", is_operator=True, domain="operator.test")


@pytest.fixture
def new_person(acme: Organization) -> Callable[..., User]:
    """new_person("dora", Role.MEMBER): another member of Acme."""

    def make(name: str, role: Role = Role.MEMBER) -> User:
        return make_member(acme, name, role)

    return make


# ── Browsers ──


@pytest.fixture
def alice_client(alice: User) -> Client:
    return logged_in(alice)


@pytest.fixture
def adam_client(adam: User) -> Client:
    return logged_in(adam)


@pytest.fixture
def fiona_client(fiona: User) -> Client:
    return logged_in(fiona)


@pytest.fixture
def bob_client(bob: User) -> Client:
    return logged_in(bob)


@pytest.fixture
def vera_client(vera: User) -> Client:
    return logged_in(vera)


@pytest.fixture
def charlie_client(charlie: User) -> Client:
    return logged_in(charlie)


@pytest.fixture
def olga_client(olga: User) -> Client:
    return logged_in(olga)


# ── Programs ──


@pytest.fixture
def acme_key(acme: Organization) -> Key:
    return make_key(acme)


@pytest.fixture
def globex_key(globex: Organization) -> Key:
    return make_key(globex)


@pytest.fixture
def acme_api(acme_key: Key) -> Client:
    return acme_key.client


@pytest.fixture
def globex_api(globex_key: Key) -> Client:
    return globex_key.client


@pytest.fixture
def new_key(acme: Organization) -> Callable[..., Key]:
    """new_key(Scope.USAGE_READ, project=website): a key of Acme with just these scopes."""

    def make(*scopes: str, **fields: object) -> Key:
        return make_key(acme, scopes or tuple(Scope.values), **fields)

    return make
