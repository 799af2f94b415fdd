"""E-mail to people: one text, one plain HTML version of it, sent once the change it speaks of is committed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string


def send(name: str, to: str, context: dict[str, Any]) -> None:
    """Send templates/emails/<name>.txt and .html to one address. The first line of the text is the subject."""
    context = {"base_url": settings.BASE_URL, "site_name": settings.SITE_NAME, **context}
    subject, _, text = render_to_string(f"emails/{name}.txt", context).partition("\n")
    message = EmailMultiAlternatives(subject.strip(), text.strip() + "\n", to=[to])
    message.attach_alternative(render_to_string(f"emails/{name}.html", context), "text/html")
    # A mail server that is away is logged; it does not undo what the mail would have told.
    transaction.on_commit(message.send, robust=True)


def absolute(path: str) -> str:
    """An address as it is written in a mail."""
    return f"{settings.BASE_URL}{path}"
