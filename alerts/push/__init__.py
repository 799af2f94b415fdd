"""Push messages to browsers: `send(user, Message(…))` is all that others need."""

from alerts.push.messages import Message, send

__all__ = ["Message", "send"]
