from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User

pytestmark = pytest.mark.django_db


def test_a_person_becomes_an_operator_and_is_none_again(bob: User, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("make_operator", "BOB@acme.test")
    assert User.objects.get(pk=bob.pk).is_operator
    call_command("make_operator", "bob@acme.test", "--revoke")
    assert not User.objects.get(pk=bob.pk).is_operator
    assert capsys.readouterr().out == "bob@acme.test is an operator.\nbob@acme.test is no operator any more.\n"


def test_somebody_who_never_signed_up_is_refused() -> None:
    with pytest.raises(CommandError, match="Nobody logs in as nobody"):
        call_command("make_operator", "nobody@acme.test")
