"""The API's description: valid, complete, and true."""

from __future__ import annotations

import copy
import json
import re
import warnings
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from metering import edge
from metering.ingest import description as doors
from metering.query import event_schemas, examples, file_schemas, openapi


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    openapi.describe.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return openapi.describe()


def test_it_is_valid_openapi(description: dict[str, Any]) -> None:
    validate(description)
    assert description["openapi"].startswith("3.1")


def test_it_has_the_edges_routes(description: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, operations in description["paths"].items() for method in operations}
    assert {(method, path.replace(":path}", "}")) for method, path in edge.ROUTES} <= described


def test_reading_has_summaries_examples_and_refusals(description: dict[str, Any]) -> None:
    for path, operations in description["paths"].items():
        if not re.match(r"/(v1/(usage|events|chats|files)|api/usage)", path):
            continue
        for operation in operations.values():
            assert operation["summary"], path
            assert {"401", "403", "422", "503"} <= set(operation["responses"]), path
            assert "example" in json.dumps(operation["responses"]["200"]), path
    ids = [o["operationId"] for operations in description["paths"].values() for o in operations.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ("Usage", examples.USAGE),
        ("ModelUsageList", examples.MODELS),
        ("UsageQueryAnswer", examples.QUERY),
        ("Summary", examples.SUMMARY),
        ("Hourly", examples.HOURLY),
        ("UsageEventPage", event_schemas.PAGE),
        ("UsageEventDetail", event_schemas.DETAIL),
        ("Receipt", event_schemas.RECEIPT),
        ("ChatPage", event_schemas.CHAT_PAGE),
        ("ChatDetail", event_schemas.CHAT_DETAIL),
        ("FilePage", file_schemas.FILE_PAGE),
        ("FileDetail", file_schemas.FILE_DETAIL),
        ("SentEventDocument", doors.PATHS["/v1/events"]["post"]["requestBody"]["content"]["application/json"][
            "examples"]["Event"]["value"]),
        ("SentEventsAnswer", doors._STORED_EXAMPLE),
    ],
)  # fmt: skip
def test_examples_are_what_they_show(description: dict[str, Any], schema: str, example: Any) -> None:
    assert_conforms(description, schema, example)


def assert_conforms(description: dict[str, Any], schema: str, value: Any) -> None:
    """`value` is what the description says, and has no field that it does not speak of."""
    components = copy.deepcopy(description["components"])
    for component in components["schemas"].values():
        if "properties" in component:
            component.setdefault("additionalProperties", False)
    document = {"$ref": f"#/components/schemas/{schema}", "components": components}
    errors = [f"{list(error.path)}: {error.message}" for error in Draft202012Validator(document).iter_errors(value)]
    assert not errors


@pytest.mark.django_db
def test_answers_are_what_is_described(acme_api: Client, description: dict[str, Any]) -> None:
    from tests.metering.query.test_events_api import store_one

    store_one(acme_api)
    for path, schema in (
        ("/v1/usage", "Usage"),
        ("/v1/usage/models", "ModelUsageList"),
        ("/v1/usage/query?group_by=model,project&interval=none", "UsageQueryAnswer"),
        ("/api/usage/summary", "Summary"),
        ("/api/usage/hourly", "Hourly"),
        ("/v1/usage/export?format=json", "Export"),
        ("/v1/events", "UsageEventPage"),
        ("/v1/events/one", "UsageEventDetail"),
        ("/v1/events/one/receipt", "Receipt"),
        ("/v1/chats", "ChatPage"),
        ("/v1/chats/c1", "ChatDetail"),
        ("/v1/files", "FilePage"),
        ("/v1/files/f1", "FileDetail"),
    ):
        response = acme_api.get(path)
        assert response.status_code == 200, response.content
        content = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
        assert_conforms(description, schema, json.loads(content))


def test_it_is_served_with_its_page(client: Client) -> None:
    answer = client.get("/v1/openapi.json")
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["paths"]["/v1/usage"]
    page = client.get("/v1/docs")
    assert page.status_code == 200
    text = page.content.decode()
    assert "swagger-ui-bundle" in text
    assert "<script>" not in text
    assert "style=" not in text
    assert "unsafe" not in page["Content-Security-Policy"]
