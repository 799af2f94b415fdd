"""The cast stands where row-level security binds it."""

import pytest
from django.db import connection, transaction

from accounts.models import Membership, Organization
from core.tenancy import ScopeError, organization_scope
from tests.cast import Key


@pytest.mark.django_db
def test_tests_run_as_the_role_of_everyday_work() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == ("tokenledger_app", False)


def test_the_cast_is_in_its_organization(acme, globex, alice, bob, charlie) -> None:
    with organization_scope(acme.id):
        assert {m.user.email for m in Membership.objects.select_related("user")} == {"alice@acme.test", "bob@acme.test"}
    with pytest.raises(ScopeError):
        Membership.objects.count()


def test_another_organization_is_invisible_to_raw_sql(acme, globex) -> None:
    with organization_scope(acme.id), connection.cursor() as cursor:
        cursor.execute("SELECT slug FROM accounts_organization")
        assert cursor.fetchall() == [("acme",)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", [1, 2])
def test_transactional_tests_start_from_nothing(attempt: int, request: pytest.FixtureRequest) -> None:
    acme: Organization = request.getfixturevalue("acme")
    with organization_scope(acme.id), transaction.atomic():
        assert Organization.objects.count() == 1


def test_keys_are_the_organizations(acme_key: Key, acme: Organization) -> None:
    assert acme_key.row.organization_id == acme.id
    assert acme_key.secret.startswith("tl_")
