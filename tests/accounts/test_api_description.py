"""The API description is valid OpenAPI 3.1 and speaks of every endpoint with its errors."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from openapi_spec_validator import validate

from accounts.endpoints import urls


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schema: dict[str, Any] = SchemaGenerator(patterns=urls.urlpatterns).get_schema(public=True)
    return schema


def test_it_is_valid(description: dict[str, Any]) -> None:
    validate_schema(description)
    validate(description)
    assert description["openapi"].startswith("3.1")


def test_every_operation_is_named_and_says_how_it_fails(description: dict[str, Any]) -> None:
    operations = [
        operation
        for path in description["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    ]
    assert len(operations) >= 20
    for operation in operations:
        assert operation["summary"]
        assert {"401", "403"} <= set(operation["responses"]), operation["operationId"]
        assert operation["security"] == [{"apiKey": []}]
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_a_secret_is_in_no_answer_but_the_first(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    assert "secret" in schemas["NewKey"]["properties"]
    assert all("secret" not in schema.get("properties", {}) for name, schema in schemas.items() if name != "NewKey")
