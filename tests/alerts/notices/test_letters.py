"""What letters say, to whom they are addressed, and what ends them."""

from __future__ import annotations

from email.message import Message
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.utils.timezone import now

from accounts.models import Organization, User
from alerts.examples import EXAMPLES
from alerts.letters import LETTERS, letter_of
from alerts.models import ToldFact
from alerts.notices.sending import send_waiting
from tests.alerts.notices.messages import rows
from tests.alerts.notices.telling import happen


@pytest.mark.parametrize("kind", LETTERS)
def test_words_of_every_kind(acme: Organization, kind: str) -> None:
    fact = ToldFact(organization=acme, kind=kind, key="1", data=EXAMPLES[kind], scope="organization", happened_at=now())
    letter = letter_of(fact, acme)
    for text in (letter.subject, letter.lead, *letter.text, *(word for row in letter.table for word in row)):
        assert text.strip() == text != ""
        assert "None" not in text
        assert "  " not in text
    assert letter.path == EXAMPLES[kind]["page"]
    assert "\n" not in letter.subject


def test_a_budget_s_threshold_says_amounts_pace_and_end(acme: Organization) -> None:
    said = {
        **EXAMPLES["budget.threshold"], "amount_usd": "25", "actual_usd": "18.75", "used_percent": 75.0,
        "threshold_percent": 75, "threshold_name": "warning", "passed_percent": 60.0,
    }  # fmt: skip
    fact = ToldFact(organization=acme, kind="budget.threshold", data=said, happened_at=now())
    letter = letter_of(fact, acme)
    assert letter.subject == "Support has reached 75% of its budget: $18.75 of $25.00"
    table = dict(letter.table)
    assert table["Time passed"] == "60%"
    # Eighteen of thirty days for three quarters: all of it after twenty-four.
    assert table["Used up at this pace"] == "Wed 25 Nov 2026"
    assert table["By model"] == "gpt-4o: $301.50"
    assert (letter.tone, letter.is_urgent) == ("warning", False)


def test_a_budget_of_tokens_that_is_used_up(acme: Organization) -> None:
    said = {
        **EXAMPLES["budget.threshold"], "amount_usd": None, "actual_usd": None, "amount_tokens": 2_000_000,
        "actual_tokens": 2_100_000, "used_percent": 105.0, "threshold_percent": 100, "threshold_name": "used up",
        "is_exceeded": True, "is_hard": True, "about": {"scope": "organization", "of": None, "label": None},
    }  # fmt: skip
    letter = letter_of(ToldFact(organization=acme, kind="budget.threshold", data=said, happened_at=now()), acme)
    assert letter.subject == "Acme has used up its budget: 2,100,000 of 2,000,000 tokens"
    assert dict(letter.table)["Used up at this pace"] == "It is used up"
    assert letter.text == (
        "The limit is hard: gateway calls that it counts are refused until the period ends or it is raised.",
    )
    assert (letter.tone, letter.is_urgent) == ("critical", True)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"model": "gpt-4o"}, " for gpt-4o"),
        ({"model": "gpt-4o", "feature": "summaries"}, " for gpt-4o and summaries"),
        ({"budget": {"id": 4, "name": "Launch"}, "model": "gpt-4o"}, " “Launch”"),
    ],
)
def test_a_budget_s_title_says_which_it_is(acme: Organization, said: dict[str, Any], words: str) -> None:
    data = {**EXAMPLES["budget.threshold"], **said}
    letter = letter_of(ToldFact(organization=acme, kind="budget.threshold", data=data, happened_at=now()), acme)
    assert letter.subject == f"Support has reached 90% of its budget{words}: $409.70 of $450.00"


@pytest.mark.parametrize(
    ("finding", "begins"),
    [
        ("unusual", "Unusual usage of r6: "),
        ("new_model", "New model: r6, "),
        ("new_key", "New key: r6, "),
        ("dormant_key", "Key in use again: r6, "),
        ("unusual_hours", "Unusual hours: r6, "),
        ("model_switched", "Model switched: r6, "),
    ],
)
def test_what_is_unusual_says_what_it_is(acme: Organization, finding: str, begins: str) -> None:
    about = {"scope": "api_key", "of": "tl_r6", "label": "r6"}
    data = {**EXAMPLES["usage.anomaly"], "about": about, "finding": finding, "unit": "requests", "actual": "160"}
    letter = letter_of(ToldFact(organization=acme, kind="usage.anomaly", data=data, happened_at=now()), acme)
    assert letter.subject == f"{begins}160 requests"


def test_an_e_mail_has_both_parts_and_what_unsubscribes_by_one_click(acme: Organization, fiona: User) -> None:
    happen(acme, "budget.threshold")
    assert send_waiting() == 1
    [sent] = mail.outbox
    assert isinstance(sent, EmailMultiAlternatives)
    assert sent.to == [fiona.email]
    assert sent.subject == "Support has reached 90% of its budget: $409.70 of $450.00"
    message: Message = sent.message()
    [row] = rows(acme)
    assert message["Message-ID"] == f"<{row.public_id}@testserver>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Unsubscribe"].startswith("<http://testserver/unsubscribe/")
    assert [part.get_content_type() for part in message.walk()][1:] == ["text/plain", "text/html"]
    for text in (str(sent.body), str(sent.alternatives[0][0])):
        assert "$409.70" in text
        assert "http://testserver/o/northbound/budgets/" in text
        assert "http://testserver/o/acme/notifications/" in text
        assert message["List-Unsubscribe"].strip("<>") in text


def test_names_are_escaped_in_html_and_plain_in_text(acme: Organization, fiona: User) -> None:
    happen(acme, budget={"id": 1, "name": "<b>A & B</b>"})
    send_waiting()
    [sent] = mail.outbox
    assert sent.subject.startswith("Support has reached 90% of its budget “<b>A & B</b>”")
    assert "“&lt;b&gt;A &amp; B&lt;/b&gt;”" in str(sent.alternatives[0][0])
