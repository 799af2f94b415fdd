"""manage.py reprice: shown first, done on the digest of what was shown."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry, Organization
from core.tenancy import organization_scope
from metering.events import Usage
from metering.pricing import overrides
from tests.metering.store.repriced_usage import (
    DECEMBER,
    FIONA,
    NOVEMBER,
    assert_rolled_up,
    call,
    costs,
    everything,
    list_price,
    own_price,
    write,
)

PERIOD = ("acme", "--from", "2026-11-01", "--to", "2026-11-30")
USD = 10**9


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("reprice", *arguments, stdout=output)
    return output.getvalue()


def run_json(*arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(*arguments, "--json"))
    return answer


@pytest.fixture
def usage(acme: Organization) -> None:
    list_price("gpt-4o", input="2", output="10")
    list_price("o9", input="1")
    write(
        acme,
        [
            call("october", NOVEMBER - dt.timedelta(seconds=1)),
            call("first"),
            call("last", DECEMBER - dt.timedelta(seconds=1), usage=Usage(input=1)),
            call("december", DECEMBER),
            call("unknown", model="our-llm"),
            call("other", model="o9"),
        ],
    )
    own_price(acme, since=NOVEMBER - dt.timedelta(days=40), input="1.5")
    overrides.set_custom_model(
        FIONA, acme.id, model="our-llm", rates=[overrides.rate("input", Decimal(4))], valid_from=NOVEMBER
    )


def test_a_dry_run_shows_what_would_change(acme: Organization, usage: None) -> None:
    before = everything(acme)
    text = run(*PERIOD)
    digest = run_json(*PERIOD)["digest"]
    assert text.splitlines() == [
        "acme, 2026-11-01 to 2026-11-30 (Europe/Berlin): 3 of 4 calls would change.",
        "",
        "model           calls  changed   old cost    new cost   difference  now priced  now unpriced",
        "openai/gpt-4o       2        2  $2.000002  $1.5000015  −$0.5000005           0             0",
        "openai/our-llm      1        1      $0.00       $4.00       +$4.00           1             0",
        "total               3        3  $2.000002  $5.5000015  +$3.4999995           1             0",
        "",
        f"Nothing is changed yet. To do it, run this again with --apply {digest}",
    ]
    assert everything(acme) == before


def test_applied_it_is_changed_and_audited(acme: Organization, usage: None) -> None:
    plan = run_json(*PERIOD)
    done = run_json(*PERIOD, "--apply", plan["digest"])
    assert (plan.pop("dry_run"), done.pop("dry_run")) == (True, False)
    assert done == plan
    assert costs(acme) == {
        "october": 2 * USD,
        "first": USD * 3 // 2,
        "last": 1_500,
        "december": 2 * USD,
        "unknown": 4 * USD,
        "other": USD,
    }
    assert_rolled_up(acme)
    with organization_scope(acme.id):
        entry = AuditEntry.objects.get(action="prices.reprice")
    assert entry.actor_label == "command reprice"
    assert entry.changes["openai/our-llm"] == ["0", "4"]
    assert "0 of 4 calls would change." in run(*PERIOD)
    assert run_json(*PERIOD)["digest"] is None
    with pytest.raises(CommandError, match="not what was shown"):
        run(*PERIOD, "--apply", plan["digest"])


def test_the_answer_for_programs(acme: Organization, usage: None) -> None:
    answer = run_json(*PERIOD, "--model", "our-llm")
    assert len(answer.pop("digest")) == 16
    figures = {
        "changed": 1,
        "newly_priced": 1,
        "newly_unpriced": 0,
        "old_cost_usd": "0",
        "new_cost_usd": "4",
        "difference_usd": "4",
    }
    assert answer == {
        "organization": "acme",
        "from": "2026-10-31T23:00:00+00:00",
        "to": "2026-11-30T23:00:00+00:00",
        "model": "our-llm",
        "dry_run": True,
        "calls": 1,
        **figures,
        "models": [{"provider": "openai", "model": "our-llm", "calls": 1, **figures}],
    }


def test_one_model_is_applied_alone(acme: Organization, usage: None) -> None:
    only = (*PERIOD, "--model", "our-llm")
    text = run(*only, "--apply", run_json(*only)["digest"])
    assert "1 of 1 calls changed." in text
    assert "--apply" not in text
    assert costs(acme)["first"] == 2 * USD
    with pytest.raises(CommandError, match="not what was shown"):
        run(*PERIOD, "--apply", "0" * 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody", "--from", "2026-11-01", "--to", "2026-11-30"], "There is no organization nobody."),
        (["acme", "--from", "1.11.2026", "--to", "2026-11-30"], "--from is a date such as"),
        (["acme", "--from", "2026-11-01", "--to", "2026-11-31"], "--to is a date such as"),
        (["acme", "--from", "2026-11-02", "--to", "2026-11-01"], "--to must not be before --from"),
        (["acme", "--from", "2025-11-01", "--to", "2025-11-02"], "acme has no calls in that period."),
        ([*PERIOD, "--model", "gpt-9"], "acme has no calls of gpt-9 in that period."),
        (["acme", "--from", "2026-11-01"], "--to"),
    ],
)
def test_what_cannot_be_is_said(acme: Organization, usage: None, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(*arguments)
