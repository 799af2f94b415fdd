"""Who is measured in front of the same model server: nobody, a bare proxy, LiteLLM's proxy, and the gateway."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import psycopg

from benchmarks.model_server import BURST, PACED
from benchmarks.serving import application, connect, cpu_seconds, cpu_seconds_of_children, free_port, serving

if TYPE_CHECKING:
    # Importing them needs Django's settings, which come later.
    from accounts.audit import Actor
    from accounts.models import User

DIRECT, BARE, LITELLM = "direct", "bare proxy", "LiteLLM"
WITHOUT_LIMITS, WITH_RATES, WITH_HOLDS = "ours, no limits", "ours, request rates", "ours, rates and holds"
OURS = (WITHOUT_LIMITS, WITH_RATES, WITH_HOLDS)
# Never reached; what is measured is the check.
MANY_A_MINUTE = 2_000_000_000
MANY_TOKENS = 10**15


class Peer(msgspec.Struct, kw_only=True):
    """A server on a port and the key that it takes."""

    name: str
    port: int
    secret: str
    process: psutil.Process
    answered: int = 0

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process) + cpu_seconds_of_children(self.process)

    def memory(self) -> tuple[float, float]:
        """RSS and PSS of all of its processes in MB."""
        found = [each.memory_full_info() for each in (self.process, *self.process.children(recursive=True))]
        return sum(each.rss for each in found) / 1e6, sum(each.pss for each in found) / 1e6


class LedgerPeer(Peer, kw_only=True):
    """One whose calls an organization's ledger has. `ledger` is a connection that sees them."""

    organization_id: int
    ledger: psycopg.Connection[Any]

    def stored(self) -> int:
        """Calls in the roll-ups, which are written in the transaction of their events."""
        (calls,) = self._row("SELECT sum(requests) FROM metering_usage_day WHERE kind = 0 AND organization_id = %s")
        return int(calls or 0)

    def events(self) -> tuple[int, int, int]:
        """Events, their tokens, and how many of them are estimates."""
        from metering.events import BUCKETS

        events, tokens, estimates = self._row(
            f"SELECT count(*), coalesce(sum({' + '.join(BUCKETS)}), 0)::bigint, count(*) FILTER (WHERE is_estimated)"
            " FROM metering_event WHERE organization_id = %s"
        )
        return events, tokens, estimates

    def _row(self, statement: str) -> Any:
        return self.ledger.execute(statement, [self.organization_id]).fetchone()


# ── The gateway ──


def found_organizations(upstream: str) -> dict[str, tuple[int, str]]:
    """Migrate, load the list prices, and make an organization for each way of limiting: its id and a key's secret."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("sync_prices", verbosity=0)
    from accounts.audit import Actor
    from accounts.models import User

    by = Actor.of_command("benchmark")
    owner = User.objects.create_user("owner@bench.test", "a long enough password", name="Owner")
    return {name: _organization(name, owner, by, upstream) for name in OURS}


def _organization(name: str, owner: User, by: Actor, upstream: str) -> tuple[int, str]:
    from accounts import keys, organizations
    from accounts.models import Scope
    from core.tenancy import organization_scope
    from metering.gateway.upstreams import create_upstream
    from metering.models import Limit, LimitKind, LimitUnit, RateLimit

    organization = organizations.create_organization(name, owner, by=by, timezone="Europe/Berlin", country="DE")
    most = None if name == WITHOUT_LIMITS else MANY_A_MINUTE
    with organization_scope(organization.pk):
        create_upstream(
            organization, by=by, name="bench", protocol="openai", base_url=f"{upstream}/v1", credential="sk-upstream",
            provider="openai",
        )  # fmt: skip
        # What a plan bounds is not what is measured.
        Limit.objects.all().delete()
        RateLimit.objects.all().delete()
        if most is not None:
            RateLimit.objects.create(organization=organization, requests_per_minute=most, tokens_per_minute=most)
        if name == WITH_HOLDS:
            Limit.objects.create(
                organization=organization, kind=LimitKind.ALLOWANCE, source="plan", label="The allowance",
                unit=LimitUnit.TOKENS, amount=MANY_TOKENS,
            )  # fmt: skip
        _, secret = keys.create_key(
            organization, "bench", [Scope.GATEWAY], by=by, requests_per_minute=most, tokens_per_minute=most
        )
    return organization.pk, secret


@contextmanager
def gateway(organizations: dict[str, tuple[int, str]], cores: Sequence[int]) -> Iterator[list[LedgerPeer]]:
    """One edge process, a peer for each of its organizations."""
    with application("config.edge:application", cores=cores) as (port, process), connect() as ledger:
        yield [
            LedgerPeer(name=name, port=port, secret=secret, process=process, organization_id=number, ledger=ledger)
            for name, (number, secret) in organizations.items()
        ]


# ── The others ──


@contextmanager
def bare_proxy(upstream: str, cores: Sequence[int]) -> Iterator[Peer]:
    with application("benchmarks.bare_proxy:application", environ={"UPSTREAM": upstream}, cores=cores) as (port, found):
        yield Peer(name=BARE, port=port, secret="sk-any", process=found)


def litellm_version(environment: Path) -> str:
    """Raises SystemExit where there is none."""
    script = "import importlib.metadata as m; print(m.version('litellm'))"
    found = subprocess.run([environment / "bin/python", "-c", script], capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(f"no LiteLLM in {environment}: {found.stderr[-300:]}")
    return found.stdout.strip()


@contextmanager
def litellm(environment: Path, upstream: str, directory: Path, cores: Sequence[int]) -> Iterator[Peer]:
    """LiteLLM's proxy as its own command starts it: one worker, a master key, no database."""
    port, secret = free_port(), "sk-benchmark"
    served = {"api_base": f"{upstream}/v1", "api_key": "sk-upstream"}
    config = {
        "model_list": [
            {"model_name": model, "litellm_params": {"model": f"openai/{model}", **served}} for model in (BURST, PACED)
        ],
        "general_settings": {"master_key": secret},
    }
    path = directory / "litellm.yaml"
    path.write_text(json.dumps(config))  # which is YAML too
    # Only what is named here: the gateway's databases are none of its business.
    environ = {
        "HOME": str(directory),
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        # It fetches prices from the network when it starts, unless told not to.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
        # Neither does the gateway write a line for each request.
        "LITELLM_LOG": "ERROR",
    }
    command = [str(environment / "bin/litellm"), "--config", str(path), "--host", "127.0.0.1", "--port", str(port),
               "--num_workers", "1"]  # fmt: skip
    with serving(command, port, environ=environ, cores=cores) as process:
        yield Peer(name=LITELLM, port=port, secret=secret, process=process)
