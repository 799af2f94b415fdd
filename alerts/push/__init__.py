"""Push messages to browsers: what is said, to which devices, and how it is handed to their push services."""

from alerts.push.messages import Message

__all__ = ["Message"]
