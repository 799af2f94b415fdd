"""E-mail to people: one text, and one plain HTML version of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string


def send(name: str, to: str, context: Mapping[str, Any]) -> None:
    """Send templates/emails/<name>.txt and .html to one address, once what it speaks of is committed."""
    # A mail server that is away is logged; it does not undo what the mail would have told.
    transaction.on_commit(compose(name, to, context).send, robust=True)


def compose(
    name: str, to: str, context: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> EmailMultiAlternatives:
    """The message, ready to be sent. The first line of the text is the subject."""
    context = {"base_url": settings.BASE_URL, "site_name": settings.SITE_NAME, **context}
    subject, _, text = render_to_string(f"emails/{name}.txt", context).partition("\n")
    message = EmailMultiAlternatives(subject.strip(), text.strip() + "\n", to=[to], headers=dict(headers or {}))
    message.attach_alternative(render_to_string(f"emails/{name}.html", context), "text/html")
    return message


def absolute(path: str) -> str:
    """An address as it is written in a mail."""
    return f"{settings.BASE_URL}{path}"
