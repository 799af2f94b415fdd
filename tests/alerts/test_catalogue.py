"""What programs are told has one form a kind, and an example that is held to it."""

from __future__ import annotations

import msgspec
import pytest

from alerts import catalogue
from alerts.catalogue import KINDS, TEST
from alerts.examples import EXAMPLES


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_an_example_that_is_what_it_says(kind: str) -> None:
    catalogue.check(kind, EXAMPLES[kind])


def test_so_has_the_test_message() -> None:
    assert msgspec.to_builtins(msgspec.convert(EXAMPLES[TEST.name], TEST.data)) == EXAMPLES[TEST.name]


def test_what_a_kind_does_not_say_is_refused() -> None:
    data = EXAMPLES["credits.low"]
    with pytest.raises(msgspec.ValidationError, match="more"):
        catalogue.check("credits.low", data | {"secret": "x"})
    with pytest.raises(msgspec.ValidationError, match="regex"):
        catalogue.check("credits.low", data | {"available_usd": "$9"})
    with pytest.raises(msgspec.ValidationError, match="missing"):
        catalogue.check("credits.low", {"page": "/"})
    with pytest.raises(KeyError):
        catalogue.check("credits.high", data)
