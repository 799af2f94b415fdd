from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, Organization
from billing.models import ProviderStatement
from core.tenancy import organization_scope

from . import exports
from .test_compare import ledger

pytestmark = pytest.mark.django_db
__all__ = ["ledger"]


def upload(client: Client, organization: Organization, content: str, tolerance: str = "1") -> int:
    file = SimpleUploadedFile("export.csv", content.encode(), "text/csv")
    path = reverse("billing:reconciliations", args=[organization.slug])
    return client.post(path, {"file": file, "tolerance": tolerance}).status_code


def kept(organization: Organization) -> list[ProviderStatement]:
    with organization_scope(organization.pk):
        return list(ProviderStatement.objects.all())


def test_an_export_is_compared(acme: Organization, ledger: int, fiona_client: Client) -> None:
    assert upload(fiona_client, acme, exports.OPENAI_USAGE_CSV) == 302
    (row,) = kept(acme)
    page = fiona_client.get(reverse("billing:reconciliation", args=[acme.slug, row.pk])).content.decode()
    assert "3,500,150" in page
    assert "Agrees" in page
    file = fiona_client.get(reverse("billing:reconciliation-file", args=[acme.slug, row.pk])).content.decode()
    header, line = file.splitlines()
    assert dict(zip(header.split(","), line.split(","), strict=True)) | {"our_cost_usd": ""} == {
        "day": "2026-11-01", "model": "gpt-4o", "verdict": "agrees", "stated_requests": "4", "our_requests": "3",
        "stated_tokens": "3500150", "our_tokens": "3500150", "stated_cost_usd": "", "our_cost_usd": "",
        "tokens_difference": "0", "cost_difference_usd": "",
    }  # fmt: skip
    with organization_scope(acme.pk):
        assert AuditEntry.objects.filter(action="provider_statement.upload").count() == 1


def test_the_same_export_again_is_the_same_row(acme: Organization, fiona_client: Client) -> None:
    for tolerance in ("1", "5"):
        assert upload(fiona_client, acme, exports.OPENAI_COSTS_CSV, tolerance) == 302
    assert [row.tolerance for row in kept(acme)] == [5]


@pytest.mark.parametrize(
    ("content", "tolerance"),
    [("nonsense", "1"), (exports.OPENAI_COSTS_CSV, "80"), (exports.OPENAI_COSTS_CSV, "x"), ("", "1")],
)
def test_what_cannot_be_compared_is_not_kept(
    acme: Organization, fiona_client: Client, content: str, tolerance: str
) -> None:
    assert upload(fiona_client, acme, content, tolerance) == 422
    assert kept(acme) == []


def test_rows_of_one_verdict(acme: Organization, ledger: int, fiona_client: Client) -> None:
    upload(fiona_client, acme, exports.OPENAI_COSTS_CSV)
    (row,) = kept(acme)
    path = reverse("billing:reconciliation", args=[acme.slug, row.pk])
    page = fiona_client.get(path, {"only": "cost_without_usage"}).content.decode()
    assert "not a model" in page, "searches are billed, and no model"
    assert "No such rows" in fiona_client.get(path, {"only": "partial"}).content.decode()


def test_it_can_be_removed(acme: Organization, fiona_client: Client) -> None:
    upload(fiona_client, acme, exports.OPENAI_COSTS_CSV)
    (row,) = kept(acme)
    assert fiona_client.post(reverse("billing:reconciliation-delete", args=[acme.slug, row.pk])).status_code == 302
    assert kept(acme) == []
