"""manage.py import_usage."""

from __future__ import annotations

import csv
import gzip
import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry, Organization
from core.tenancy import organization_scope
from metering.models import ImportStatus, UsageImport

ROWS = "time,model,tokens_in,tokens_out\n2026-11-01T10:00:00Z,gpt-4o,100,10\n2026-11-01T10:00:01Z,gpt-4o,200,20\n"
DATA = Path("/work/shared/data")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("import_usage", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "calls.csv"
    path.write_text(ROWS)
    return path


def test_it_shows_its_plan_and_a_summary(acme: Organization, prices: None, file: Path) -> None:
    said = run("acme", str(file), "--map", "tokens_in=usage.prompt_tokens", "tokens_out=usage.completion_tokens")
    assert "tokens_in   →  usage.prompt_tokens" in said
    assert "Times without a zone are read as UTC." in said
    assert "created                                2" in said
    assert "$0.0010" in said
    with organization_scope(acme.id):
        record = UsageImport.objects.get()
        assert (record.status, record.tally["created"], record.file_name) == (ImportStatus.FINISHED, 2, "calls.csv")
        assert AuditEntry.objects.get(action="usage.import").actor_label == "command import_usage"


def test_a_dry_run_leaves_no_trace(acme: Organization, file: Path) -> None:
    assert "would create                           2" in run("acme", str(file), "--dry-run")
    with organization_scope(acme.id):
        assert not UsageImport.objects.exists()
        assert not AuditEntry.objects.exists()


def test_json_is_for_programs(acme: Organization, prices: None, tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl.gz"
    rows = [{"id": n, "at": 1793527200 + n, "engine": "gpt-4o", "u": {"in": 10, "out": 1}} for n in range(5)]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    arguments = (
        "acme",
        str(path),
        "--map",
        "at=occurred_at",
        "u.in=usage.prompt_tokens",
        "u.out=usage.completion_tokens",
    )
    answer = json.loads(run(*arguments, "--json"))
    assert (answer["created"], answer["totals"]["prompt_tokens"], answer["totals"]["cost_usd"]) == (5, 50, "0.000175")
    assert answer["by_pricing"]["priced"]["requests"] == 5
    again = json.loads(run(*arguments, "--json"))
    assert (again["created"], again["duplicates"]) == (0, 5)


def test_rows_that_were_not_stored_are_printed_and_written(acme: Organization, tmp_path: Path) -> None:
    path, errors = tmp_path / "calls.csv", tmp_path / "errors.csv"
    path.write_text("time,model,tokens\n" + "=cmd()|x,gpt-4o,1\n" * 30 + "2026-11-01T10:00:00Z,gpt-4o,1\n")
    told = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command(
            "import_usage", "acme", str(path), "--map", "tokens=usage.input", "--errors", str(errors),
            "--show-errors", "2", stdout=StringIO(), stderr=told,
        )  # fmt: skip
    assert ended.value.code == 1
    assert told.getvalue().count("\nrow") + told.getvalue().startswith("row") == 2
    assert "and 28 more" in told.getvalue()
    lines = list(csv.DictReader(errors.read_text().splitlines()))
    assert len(lines) == 30
    assert (lines[0]["row"], lines[0]["column"], lines[0]["code"]) == ("2", "time", "invalid_time")
    assert lines[0]["value"] == "'=cmd()|x"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nobody", "FILE"), "no organization nobody"),
        (("acme", "FILE", "--project", "nowhere"), "no project nowhere"),
        (("acme", "/nonexistent.csv"), "cannot be read"),
        (("acme", "FILE", "--map", "tokens_in"), "--map takes"),
        (("acme", "FILE", "--map", "tokens_in=usage.prompt_tokens", "zz=tool"), "no column zz"),
        (("acme", "FILE", "--map", "tokens_in=usge"), "no field usge"),
        (("acme", "FILE", "--start", "2026-11-01"), "needs its offset"),
        (("acme", "FILE", "--start", "soon"), "takes a time"),
        (("acme", "FILE", "--timezone", "Mars"), "IANA"),
        (("acme", "FILE", "--map", "model="), "gives the model"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_read(
    acme: Organization, file: Path, arguments: tuple[str, ...], words: str
) -> None:
    with pytest.raises(CommandError, match=words):
        run(*(str(file) if argument == "FILE" else argument for argument in arguments))
    with organization_scope(acme.id):
        assert not UsageImport.objects.exists()


@pytest.mark.skipif(not DATA.exists(), reason="the shared data is not on this machine")
def test_real_files_have_the_totals_that_were_counted_elsewhere(acme: Organization) -> None:
    azure = DATA / "llm_usage_azure/AzureLLMInferenceTrace_conv_2023.csv"
    expected = [0, 0, 0]
    with azure.open() as lines:
        for row in csv.DictReader(lines):
            expected = [
                expected[0] + 1,
                expected[1] + int(row["ContextTokens"]),
                expected[2] + int(row["GeneratedTokens"]),
            ]
    answer = json.loads(run("acme", str(azure), "--set", "model=gpt-4", "--json"))
    totals = answer["totals"]
    assert [totals["requests"], totals["prompt_tokens"], totals["completion_tokens"]] == expected
    assert json.loads(run("acme", str(azure), "--set", "model=gpt-4", "--json"))["created"] == 0
