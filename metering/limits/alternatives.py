"""What else a call may be charged by, where its model has no price for all that is estimated of it.

A request does not tell whether its model is paid by the token, the picture, the hour of audio or that of a GPU: its
estimate has all that is known, and the price book has the rates of one way.
"""

from __future__ import annotations

import msgspec

from metering.events import Usage, UsageEvent

# What a call by the GPU-hour is held at, because nobody knows before how long it will take.
HELD_DURATION_MS = 60_000


def otherwise_counted(event: UsageEvent) -> list[UsageEvent]:
    """The estimated call as it would be charged in other ways, the more particular first."""
    usage = event.usage
    others = []
    if usage is not None and usage.audio_input:
        heard_as_text = msgspec.structs.replace(usage, input=usage.input + usage.audio_input, audio_input=0)
        others.append(msgspec.structs.replace(event, usage=heard_as_text))
    if usage is not None and (usage.images or usage.media_ms):
        by_the_unit = Usage(images=usage.images, media_ms=usage.media_ms)
        others.append(msgspec.structs.replace(event, usage=by_the_unit))
    if event.duration_ms is None:
        others.append(msgspec.structs.replace(event, duration_ms=HELD_DURATION_MS))
    return others
