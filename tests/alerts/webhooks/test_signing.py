"""What is sent verifies with the library of Standard Webhooks, by the secrets that sign at that moment."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from alerts.webhooks import signing

# Of the library's own tests: https://github.com/standard-webhooks/standard-webhooks (libraries/python and rust).
VECTORS = [
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        '{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1649367553,
        '{"email":"test@example.com","username":"test_user"}',
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
]
ID = uuid.UUID("0191d0c2-0000-7000-8000-000000000001")
BODY = '{"type":"webhook.test","note":"Žluťoučký"}'


@pytest.mark.parametrize(("secret", "name", "at", "body", "signature"), VECTORS)
def test_the_library_s_vectors(
    monkeypatch: pytest.MonkeyPatch, secret: str, name: str, at: int, body: str, signature: str
) -> None:
    monkeypatch.setattr(signing, "public_id", lambda _: name)
    # In another zone: a signature is of an instant.
    moment = dt.datetime.fromtimestamp(at, dt.timezone(dt.timedelta(hours=5, minutes=45)))
    assert signing.headers([secret], ID, body, moment) == {
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": signature,
    }


def test_each_of_two_secrets_verifies_and_another_does_not() -> None:
    new, former = signing.new_secret(), signing.new_secret()
    sent = signing.headers([new, former], ID, BODY, dt.datetime.now(dt.UTC))
    for secret in (new, former):
        assert Verifier(secret).verify(BODY, sent)["type"] == "webhook.test"
    with pytest.raises(WebhookVerificationError):
        Verifier(signing.new_secret()).verify(BODY, sent)
    with pytest.raises(WebhookVerificationError):
        Verifier(new).verify(BODY.replace("test", "tost"), sent)


def test_secrets_have_the_length_the_standard_asks_for() -> None:
    import base64

    secrets = {signing.new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert all(24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64 for secret in secrets)
