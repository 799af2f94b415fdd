"""Files that go with a letter by e-mail. Apps above alerts have them, and say here who is asked for one."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from django.utils.module_loading import import_string

from accounts.models import Membership
from alerts.models import ToldFact

# Mail servers refuse large messages; whoever gets no file has the link.
LARGEST_BYTES = 5_000_000

# Kind of fact → the function that is asked for its file: (fact, member) -> Attachment | None, in the scope.
ATTACHED: dict[str, str] = {}


class Attachment(msgspec.Struct, frozen=True):
    """`type` is its media type."""

    name: str
    type: str
    content: bytes


def add_attachments(kind: str, path: str) -> None:
    """Let the facts of a kind have files: `path` names the function that is asked."""
    ATTACHED[kind] = path


def attachment_of(fact: ToldFact, member: Membership) -> Attachment | None:
    """None where there is no file for this member, or one too large to be sent."""
    path = ATTACHED.get(fact.kind)
    if path is None:
        return None
    ask: Callable[[ToldFact, Membership], Attachment | None] = import_string(path)
    found = ask(fact, member)
    return found if found is not None and len(found.content) < LARGEST_BYTES else None
