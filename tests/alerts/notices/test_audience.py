"""Who is told of what: roles, teams, who is named, and what each of them chose."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils.timezone import now

from accounts.models import Membership, Organization, Project, Role, Team, TeamMembership, User
from alerts.catalogue import KINDS
from alerts.letters import LETTERS
from alerts.models import Preference, ToldFact, Way
from alerts.notices.audience import audience, team_ids_of
from alerts.notices.preferences import SEEN_WITH, choices_of, choose, forget_choices
from core.tenancy import organization_scope
from tests.alerts.notices.telling import happen
from tests.cast import membership_of


@pytest.fixture
def everybody(alice: User, adam: User, fiona: User, bob: User, vera: User, charlie: User) -> list[User]:
    return [alice, adam, fiona, bob, vera, charlie]


def told_of(fact: ToldFact, way: Way = Way.EMAIL) -> set[str]:
    with organization_scope(fact.organization_id):
        return {one.member.user.email.partition("@")[0] for one in audience(fact) if way in one.ways}


def lead(team: Team, user: User) -> None:
    with organization_scope(team.organization_id):
        TeamMembership.objects.filter(team=team, membership__user=user).update(is_admin=True)


def prefer(user: User, organization: Organization, kind: str, way: Way, is_on: bool) -> None:
    member = membership_of(user, organization)
    with organization_scope(organization.pk):
        Preference.objects.create(organization=organization, member=member, kind=kind, way=way, is_on=is_on)


RUNNING, MONEY = {"alice", "adam"}, {"alice", "adam", "fiona"}
BY_ROLE = {
    "usage.threshold": RUNNING,
    "usage.anomaly": RUNNING,
    "usage.daily_summary": set(),
    "usage.weekly_summary": set(),
    "rate_limit.frequent": RUNNING,
    "budget.threshold": MONEY,
    "credits.low": MONEY,
    "invoice.finalized": MONEY,
    "invoice.paid": MONEY,
    "payment.failed": MONEY,
    "payment.recovered": MONEY,
    "payment.disputed": MONEY,
    "calls.suspended": MONEY,
    "report.ready": MONEY,
    "report.failed": MONEY,
    "key.created": RUNNING,
    "member.joined": RUNNING,
    "webhook.disabled": RUNNING,
}


def test_every_kind_has_words_and_a_right() -> None:
    assert set(LETTERS) == set(SEEN_WITH) == set(KINDS) >= set(BY_ROLE)


@pytest.mark.parametrize("kind", BY_ROLE)
def test_roles(acme: Organization, everybody: list[User], kind: str) -> None:
    assert told_of(happen(acme, kind)) == BY_ROLE[kind]


def test_a_team_s_admins_are_told_of_their_team(
    acme: Organization, everybody: list[User], search: Team, website: Project, bob: User
) -> None:
    lead(search, bob)
    other = membership_of(everybody[4], acme)
    with organization_scope(acme.pk):
        elsewhere = Team.objects.create(organization=acme, name="Elsewhere", slug="elsewhere")
        TeamMembership.objects.create(organization=acme, team=search, membership=other)
    for key, (scope, ref) in enumerate((("team", search.pk), ("project", website.pk), ("member", other.pk))):
        assert "bob" in told_of(happen(acme, key=str(key), scope=scope, ref=ref))
    assert "bob" not in told_of(happen(acme, key="a", scope="team", ref=elsewhere.pk))
    assert "bob" not in told_of(happen(acme, key="b"))
    # Money is not the team's to hear of.
    assert "bob" not in told_of(happen(acme, "credits.low", scope="team", ref=search.pk))


def test_who_it_is_about_and_who_is_named_are_told(acme: Organization, everybody: list[User], bob: User) -> None:
    own = membership_of(bob, acme)
    assert "bob" in told_of(happen(acme, key="own", scope="member", ref=own.pk))
    assert told_of(happen(acme, key="named", people=(bob.pk,))) == {*MONEY, "bob"}
    assert told_of(happen(acme, "report.ready", people=(bob.pk,))) == {"bob"}
    # Who sees everybody's hears of their own as of others'.
    vera = membership_of(everybody[4], acme)
    assert "vera" not in told_of(happen(acme, key="vera", scope="member", ref=vera.pk))
    # And whoever it is about may not want to hear of it.
    prefer(bob, acme, "budget.threshold", Way.EMAIL, False)
    assert "bob" not in told_of(happen(acme, key="again", scope="member", ref=own.pk))


def test_a_report_of_a_team_is_for_its_admins_alone(
    acme: Organization, everybody: list[User], search: Team, bob: User
) -> None:
    lead(search, bob)
    prefer(everybody[4], acme, "report.ready", Way.EMAIL, True)
    assert told_of(happen(acme, "report.ready", key="all")) == {*MONEY, "vera"}
    assert told_of(happen(acme, "report.ready", key="team", scope="team", ref=search.pk)) == {"bob"}
    with organization_scope(acme.pk):
        TeamMembership.objects.update(is_admin=False)
    assert told_of(happen(acme, "report.ready", key="nobody", scope="team", ref=search.pk)) == set()


def test_strangers_and_people_who_left_are_never_told(
    acme: Organization, everybody: list[User], adam: User, fiona: User, charlie: User
) -> None:
    with organization_scope(acme.pk):
        Membership.objects.filter(user=adam).update(ended_at=now())
    fiona.is_active = False
    fiona.save()
    people = (adam.pk, fiona.pk, charlie.pk)
    assert told_of(happen(acme, people=people)) == {"alice"}


@pytest.mark.parametrize(
    ("name", "kind", "is_on", "is_told"),
    [
        ("alice", "budget.threshold", False, False),
        ("vera", "budget.threshold", True, True),
        ("vera", "usage.daily_summary", True, True),
        # Wanting is not enough to see.
        ("vera", "invoice.paid", True, False),
        ("bob", "budget.threshold", True, False),
        ("fiona", "key.created", True, False),
        ("fiona", "member.joined", True, True),
    ],
)
def test_what_people_choose(
    acme: Organization, everybody: list[User], name: str, kind: str, is_on: bool, is_told: bool
) -> None:
    person = next(user for user in everybody if user.email.startswith(name))
    prefer(person, acme, kind, Way.EMAIL, is_on)
    fact = happen(acme, kind)
    assert (name in told_of(fact)) is is_told
    # The other ways are as they were.
    assert (name in told_of(fact, Way.INBOX)) is (name in BY_ROLE[kind])


def test_choices_are_kept_where_they_differ(acme: Organization, adam: User, bob: User) -> None:
    member = membership_of(adam, acme)
    with organization_scope(acme.pk):
        as_they_are = {(one.kind.name, way): one.on[way] for one in choices_of(member) for way in Way}
        assert choose(member, as_they_are) == 0
        assert choose(member, {**as_they_are, ("key.created", Way.EMAIL): False}) == 1
        # What nobody offered is not kept.
        assert choose(member, {("no.kind", Way.EMAIL): True}) == 0
        [kept] = Preference.objects.all()
        assert (kept.kind, kept.way, kept.is_on) == ("key.created", "email", False)
        forget_choices(member)
        assert not Preference.objects.exists()
        # A member is offered what can be about them.
        offered = {one.kind.name for one in choices_of(membership_of(bob, acme))}
    about_them = {"usage.threshold", "usage.anomaly", "rate_limit.frequent", "budget.threshold"}
    assert offered == about_them | {"report.ready"}


def test_the_teams_of_a_fact(acme: Organization, search: Team, website: Project, bob: User) -> None:
    member = membership_of(bob, acme)
    with organization_scope(acme.pk):
        for scope, ref in (("team", search.pk), ("project", website.pk), ("member", member.pk)):
            assert team_ids_of(scope, ref) == {search.pk}
        for scope, ref in (("organization", 0), ("api_key", 1), ("department", 1), ("model", 0), ("project", 0)):
            assert team_ids_of(scope, ref) == frozenset()


def test_a_new_member_has_their_role_s_defaults(acme: Organization, new_person: Callable[..., User]) -> None:
    happen(acme, key="before")
    new_person("dora", Role.FINANCE)
    assert told_of(happen(acme, key="after")) == {"dora"}
