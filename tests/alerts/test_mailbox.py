"""E-mail that is kept instead of sent: shown to whom, and without any rights of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from pytest_django.fixtures import Settings

from core import mailbox
from core.mailbox import MOST_KEPT

HTML = "<!DOCTYPE html><html><head><title>x</title></head><body><p>Bonjour é</p><script>alert(1)</script></body></html>"


@pytest.fixture
def kept(settings: Settings, tmp_path: Path) -> Settings:
    settings.EMAIL_BACKEND = "core.mailbox.Backend"
    settings.MAILBOX_DIR = tmp_path / "mail"
    settings.IS_DEMO = True
    return settings


def write(subject: str = "Größe erreicht", html: str = HTML) -> None:
    message = EmailMultiAlternatives(subject, "Plain é text\n", to=["Fiona <fiona@acme.test>"])
    if html:
        message.attach_alternative(html, "text/html")
    message.send()


def test_what_is_written_is_kept_the_newest_first(kept: Settings) -> None:
    write("first")
    write("second", html="")
    newest, oldest = mailbox.mails()
    assert (newest.subject, newest.html, newest.text.strip()) == ("second", "", "Plain é text")
    assert (oldest.subject, oldest.to) == ("first", "Fiona <fiona@acme.test>")
    assert "Bonjour é" in oldest.html
    assert mailbox.mail(oldest.id) == oldest
    for wrong in ("", "../../etc/passwd", "0" * 19, f"{'0' * 19}-{'a' * 8}"):
        assert mailbox.mail(wrong) is None


def test_only_the_newest_are_kept(kept: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_KEPT > 100
    monkeypatch.setattr(mailbox, "MOST_KEPT", 3)
    for number in range(5):
        write(str(number))
    assert [mail.subject for mail in mailbox.mails()] == ["4", "3", "2"]


def test_the_pages_show_text_headers_and_html_without_rights(kept: Settings, vera_client: Client) -> None:
    write()
    [mail] = mailbox.mails()
    assert "Größe erreicht" in vera_client.get("/mailbox/").content.decode()
    assert 'href="/mailbox/"' in vera_client.get("/o/acme/overview").content.decode()
    page = vera_client.get(f"/mailbox/{mail.id}/")
    assert f'src="/mailbox/{mail.id}/body"' in page.content.decode()
    assert "frame-src 'self'" in page["Content-Security-Policy"]
    assert "Plain é text" in vera_client.get(f"/mailbox/{mail.id}/?show=text").content.decode()
    assert "multipart/alternative" in vera_client.get(f"/mailbox/{mail.id}/?show=headers").content.decode()
    body = vera_client.get(f"/mailbox/{mail.id}/body")
    assert "Bonjour é" in body.content.decode()
    policy = body["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-popups" in policy
    assert "script" not in policy
    assert body["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.parametrize(
    ("is_demo", "debug", "backend", "member", "operator"),
    [
        (True, False, "core.mailbox.Backend", 200, 200),
        (False, True, "core.mailbox.Backend", 404, 200),
        (False, False, "core.mailbox.Backend", 404, 404),
        (True, True, "django.core.mail.backends.locmem.EmailBackend", 404, 404),
    ],
)
def test_who_may_look(
    kept: Settings,
    vera_client: Client,
    olga_client: Client,
    client: Client,
    is_demo: bool,
    debug: bool,
    backend: str,
    member: int,
    operator: int,
) -> None:
    write()
    [mail] = mailbox.mails()
    kept.IS_DEMO, kept.DEBUG, kept.EMAIL_BACKEND = is_demo, debug, backend
    for path in ("/mailbox/", f"/mailbox/{mail.id}/", f"/mailbox/{mail.id}/body"):
        assert vera_client.get(path).status_code == member
        assert olga_client.get(path).status_code == operator
        assert client.get(path).status_code == 302
