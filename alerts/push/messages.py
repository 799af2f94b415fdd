"""What is said, and to whom: one task a device, so that one that fails is tried again alone."""

from __future__ import annotations

import msgspec

from accounts.models import User
from alerts.push.devices import devices_of
from metering.tasks import enqueue

# A push service takes 4 KB, encrypted and padded.
LONGEST_TITLE = 120
LONGEST_BODY = 600
LONGEST_URL = 1000


class Message(msgspec.Struct, frozen=True):
    """`url` is a path of this installation, opened by a touch. Of messages with one `tag` only the newest stays."""

    title: str
    body: str
    url: str
    tag: str = ""

    def __post_init__(self) -> None:
        if not self.url.startswith("/") or self.url.startswith("//"):
            raise ValueError("a message leads to a path of this installation")

    @property
    def content(self) -> dict[str, str]:
        """What the service worker reads; texts cut to what fits."""
        return {
            "title": _cut(self.title, LONGEST_TITLE),
            "body": _cut(self.body, LONGEST_BODY),
            "url": self.url if len(self.url) <= LONGEST_URL else "/",
            "tag": self.tag[:64],
        }


def send(user: User, message: Message) -> int:
    """Tell a person in every browser they allowed it in, once the transaction is committed. Returns in how many."""
    # Not above: the tasks, which Celery finds there, need this package.
    from alerts.tasks import push

    ids = list(devices_of(user).values_list("pk", flat=True))
    for device_id in ids:
        enqueue(push, device_id, message.content)
    return len(ids)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
