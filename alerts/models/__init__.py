"""Tables of alerts."""

from alerts.models.facts import ToldFact
from alerts.models.push import PushDevice, PushKey

__all__ = ["PushDevice", "PushKey", "ToldFact"]
