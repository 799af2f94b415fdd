"""A POST that is sent again acts once; and answers where no view answers are JSON, too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils.timezone import now

from accounts.models import APIKey, AuditEntry, IdempotentAnswer, Membership, Organization
from core.errors import ApiError
from core.tenancy import organization_scope, unscoped
from tests.accounts.calling import error, post
from tests.cast import Key

BODY = {"name": "search-prod", "scopes": ["usage:write", "gateway"]}


# ── Idempotency ──


def test_a_repeated_post_gets_the_first_answer(
    acme: Organization, acme_api: Client, new_key: Callable[..., Key]
) -> None:
    first = post(acme_api, "/v1/keys", BODY, **{"idempotency-key": "one"})
    again = post(acme_api, "/v1/keys", BODY, **{"idempotency-key": "one"})
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    other = post(acme_api, "/v1/keys", {**BODY, "name": "other"}, **{"idempotency-key": "one"})
    assert (other.status_code, error(other)["code"]) == (409, "idempotency_key_reused")
    colleague = post(new_key().client, "/v1/keys", BODY, **{"idempotency-key": "one"})
    assert (colleague.status_code, error(colleague)["code"]) == (409, "idempotency_key_in_use")
    with organization_scope(acme.id):
        assert APIKey.objects.filter(name="search-prod").count() == 1
        stored = IdempotentAnswer.objects.get()
        assert first.json()["secret"].encode() not in bytes(stored.sealed)


def test_a_refused_post_does_not_use_up_its_key(acme_api: Client) -> None:
    assert post(acme_api, "/v1/keys", {**BODY, "scopes": []}, **{"idempotency-key": "two"}).status_code == 422
    assert post(acme_api, "/v1/keys", BODY, **{"idempotency-key": "two"}).status_code == 201
    assert post(acme_api, "/v1/keys", BODY, **{"idempotency-key": "x" * 256}).status_code == 422


def test_the_same_idempotency_key_of_two_organizations_is_two(acme_api: Client, globex_api: Client) -> None:
    assert post(acme_api, "/v1/keys", BODY, **{"idempotency-key": "one"}).status_code == 201
    assert "idempotent-replayed" not in post(globex_api, "/v1/keys", BODY, **{"idempotency-key": "one"}).headers


def test_answers_are_forgotten_after_a_day(acme: Organization, acme_api: Client) -> None:
    first = post(acme_api, "/v1/keys", BODY, **{"idempotency-key": "one"})
    with organization_scope(acme.id):
        IdempotentAnswer.objects.update(created_at=now() - timedelta(hours=25))
    assert post(acme_api, "/v1/keys", BODY, **{"idempotency-key": "one"}).json()["id"] != first.json()["id"]


@pytest.mark.django_db(transaction=True)
def test_of_two_posts_at_once_one_acts(acme_key: Key) -> None:
    answers: list[Any] = []

    def send() -> None:
        answers.append(post(acme_key.client, "/v1/keys", BODY, **{"idempotency-key": "race"}))
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["secret"] for answer in answers}) == 1
    with unscoped("counting"):
        assert APIKey.objects.filter(name="search-prod").count() == 1


# ── Answers where no view answers ──


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/", "/api/nothing", "/v1/keys/", "/v1/keys/abc"])
def test_unknown_paths_answer_in_json(acme_api: Client, client: Client, path: str) -> None:
    for response in (acme_api.get(path), client.post(path)):
        assert response.status_code == 404
        assert error(response)["type"] == "not_found_error"


def test_a_wrong_method_answers_in_json(acme_api: Client) -> None:
    response = acme_api.put("/v1/keys")
    assert response.status_code == 405
    assert error(response)["code"] == "method_not_allowed"


def test_a_mistake_of_ours_answers_in_json(acme_api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("accounts.endpoints.keys.paginate", fail)
    acme_api.raise_request_exception = False
    response = acme_api.get("/v1/keys")
    assert response.status_code == 500
    assert error(response)["code"] == "internal_error"
    assert "broken" not in response.text


def test_a_failed_handler_leaves_nothing_behind(
    acme: Organization, acme_api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise ApiError(409, "no", "No.")

    monkeypatch.setattr("accounts.endpoints.keys._new", refuse)
    assert post(acme_api, "/v1/keys", BODY, **{"idempotency-key": "one"}).status_code == 409
    with organization_scope(acme.id):
        assert not APIKey.objects.filter(name="search-prod").exists()
        assert not IdempotentAnswer.objects.exists()
        assert not AuditEntry.objects.exists()
        assert not Membership.objects.exists()
