"""Tables of alerts."""

from alerts.models.chat import ChatChannel, Dialect
from alerts.models.facts import ToldFact
from alerts.models.notices import Dispatch, Notice, Preference, Rhythm, Timing, Way
from alerts.models.push import PushDevice, PushKey

__all__ = [
    "ChatChannel",
    "Dialect",
    "Dispatch",
    "Notice",
    "Preference",
    "PushDevice",
    "PushKey",
    "Rhythm",
    "Timing",
    "ToldFact",
    "Way",
]
