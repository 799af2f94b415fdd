"""E-mail: text and HTML, with what mail programs need to unsubscribe by one click."""

from __future__ import annotations

import smtplib
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.urls import reverse

from accounts.models import Membership
from alerts.channels.errors import RefusedError, TryLaterError
from alerts.letters import letter_of
from alerts.letters.attachments import attachment_of
from alerts.models import Dispatch, Way
from alerts.notices.preferences import is_turned_off
from alerts.notices.unsubscribe import link_of
from core import emails


def send(dispatch: Dispatch) -> None:
    member = reachable(dispatch)
    if is_turned_off(member.pk, dispatch.fact.kind, Way.EMAIL):
        raise RefusedError("Turned off meanwhile.")
    letter = letter_of(dispatch.fact, dispatch.organization)
    unsubscribe = link_of(member, dispatch.fact.kind)
    context = {"letter": letter, "link": letter.elsewhere or emails.absolute(letter.path), "unsubscribe": unsubscribe}
    attachment = attachment_of(dispatch.fact, member)
    context |= {"attached": attachment.name if attachment else ""}
    message = emails.compose("notice", member.user.email, context | about(member), headers_of(dispatch, unsubscribe))
    if attachment is not None:
        message.attach(attachment.name, attachment.content, attachment.type)
    hand_over(message)


def reachable(dispatch: Dispatch) -> Membership:
    """Whom it is for. Raises RefusedError where they have left since."""
    member = dispatch.member
    if member is None or member.ended_at is not None or not member.user.is_active:
        raise RefusedError("Not a member any more.")
    return member


def about(member: Membership) -> dict[str, object]:
    """What the foot of every e-mail says."""
    organization = member.organization
    return {
        "organization": organization,
        "inbox": emails.absolute(reverse("alerts:inbox", args=[organization.slug])),
        "preferences": emails.absolute(reverse("alerts:preferences", args=[organization.slug])),
    }


def headers_of(dispatch: Dispatch, unsubscribe: str) -> dict[str, str]:
    """The id is the same in every attempt: a mail program shows what it gets twice once."""
    host = urlsplit(settings.BASE_URL).hostname or "localhost"
    return {
        "Message-ID": f"<{dispatch.public_id}@{host}>",
        "List-Unsubscribe": f"<{unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Auto-Submitted": "auto-generated",
    }


def hand_over(message: EmailMultiAlternatives) -> None:
    """To the mail server. Raises RefusedError where it will never take it for this address, TryLaterError else."""
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        if codes and min(codes) >= 500:
            raise RefusedError(f"The mail server refuses the address ({codes[0]}).") from error
        raise TryLaterError(f"The mail server does not take it now ({codes[0] if codes else 'no reason'}).") from error
    except (smtplib.SMTPException, OSError) as error:
        raise TryLaterError(f"The mail server cannot be used ({type(error).__name__}).") from error
