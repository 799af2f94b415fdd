"""A letter as chat programs take it.

Slack takes blocks of mrkdwn; what is compatible with it (Mattermost, Rocket.Chat) shows in full what came before them:
attachments with fields. Teams takes an Adaptive Card of version 1.4, as its Workflows and its older connectors do.
https://docs.slack.dev/messaging/formatting-message-text/ · https://adaptivecards.io/explorer/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alerts.letters import Letter
from alerts.models import Dialect

# Of the product's own palette, in light.
_COLORS = {"critical": "#B3261E", "caution": "#B45309", "warning": "#A16207", "ok": "#0F6B43", "plain": "#5A6860"}
_STYLES = {"critical": "attention", "caution": "warning", "warning": "warning", "ok": "good", "plain": "default"}
# Slack cuts longer ones off in the middle of a sentence.
LONGEST_TEXT = 2900
MOST_FIELDS = 20


def payload_of(dialect: str, letter: Letter, link: str, organization: str) -> dict[str, Any]:
    return _PAYLOADS[Dialect(dialect)](letter, link, organization)


def slack(letter: Letter, link: str, organization: str) -> dict[str, Any]:
    """Blocks, and beside them `text`: what notifications and screen readers have of it."""
    fields = [{"type": "mrkdwn", "text": f"*{mrkdwn(name)}*\n{mrkdwn(value)}"} for name, value in letter.table]
    blocks: list[dict[str, Any]] = [
        _section(f"*{mrkdwn(letter.subject)}*\n{mrkdwn(letter.lead)}"),
        # A section has at most ten fields.
        *(
            {"type": "section", "fields": fields[start : start + 10]}
            for start in range(0, len(fields[:MOST_FIELDS]), 10)
        ),
        *(_section(mrkdwn(text)) for text in letter.text),
        _section(f"<{link}|{mrkdwn(letter.action)}>"),
        {"type": "context", "elements": [{"type": "mrkdwn", "text": mrkdwn(organization)}]},
    ]
    return {
        "text": mrkdwn(letter.subject),
        "attachments": [{"color": _COLORS[letter.tone], "fallback": letter.subject, "blocks": blocks}],
    }


def mattermost(letter: Letter, link: str, organization: str) -> dict[str, Any]:
    """Slack's older attachments, in Markdown: what receivers that know no blocks show in full."""
    fields = [{"title": name, "value": markdown(value), "short": True} for name, value in letter.table[:MOST_FIELDS]]
    return {
        "text": "",
        "attachments": [
            {
                "fallback": letter.subject,
                "color": _COLORS[letter.tone],
                "title": letter.subject,
                "title_link": link,
                "text": "\n\n".join(markdown(text) for text in (letter.lead, *letter.text))[:LONGEST_TEXT],
                "fields": fields,
                "footer": organization,
            }
        ],
    }


def teams(letter: Letter, link: str, organization: str) -> dict[str, Any]:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [
            {
                "type": "Container",
                "style": _STYLES[letter.tone],
                "bleed": True,
                "items": [_block(letter.subject, weight="bolder", size="medium")],
            },
            _block(letter.lead),
            *([_facts(letter)] if letter.table else []),
            *(_block(text) for text in letter.text),
            _block(organization, isSubtle=True, size="small"),
        ],
        "actions": [{"type": "Action.OpenUrl", "title": letter.action, "url": link}],
    }
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "summary": letter.subject, "attachments": [content]}


def mrkdwn(text: str) -> str:
    """Text that Slack shows as it is: nobody is mentioned and no link is made by what a budget is called."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain[:LONGEST_TEXT]


def markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    escaped = "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|~" else sign for sign in text)
    # What begins with @ calls people.
    return escaped.replace("@", "@\u200b")


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _block(text: str, **look: Any) -> dict[str, Any]:
    return {"type": "TextBlock", "text": markdown(text), "wrap": True, **look}


def _facts(letter: Letter) -> dict[str, Any]:
    facts = [{"title": markdown(name), "value": markdown(value)} for name, value in letter.table]
    return {"type": "FactSet", "facts": facts}


_PAYLOADS: dict[Dialect, Callable[[Letter, str, str], dict[str, Any]]] = {
    Dialect.SLACK: slack,
    Dialect.MATTERMOST: mattermost,
    Dialect.TEAMS: teams,
}
