"""What is said in a push message."""

from __future__ import annotations

import msgspec

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


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
