"""What the gateway adds to a call, beside no proxy, a bare one, and LiteLLM's, in front of the same model server.

    uv run python -m benchmarks.gateway [--litellm /tmp/litellm-bench] [--seconds 1.5] [--rounds 2]

Starts a durable PostgreSQL, a Redis, the model server and every peer, asks them in turn, so that what else the machine
does disturbs all alike, and holds the ledger against what was answered. Each figure is the best of its rounds. Where
there are two cores, the peers have the first and everything else (client, model server, databases) the others.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import psutil
import uvloop

from benchmarks import peers
from benchmarks.gateway_report import Measure, Phase, Report
from benchmarks.loopback import Run, drive, percentile, request
from benchmarks.model_server import BURST, CHUNKS, PACED, PAUSE_SECONDS, TOKENS_PER_CALL
from benchmarks.paced import PacedRun
from benchmarks.peers import LedgerPeer, Peer
from benchmarks.serving import (
    cpu_seconds,
    cpu_seconds_of_children,
    free_port,
    own_databases,
    postmaster,
    serving,
)

CONNECTIONS = (1, 16, 64)
PACED_STREAMS = 100
WARM_UP_SECONDS = 1.0
SETTLE_SECONDS = 20.0
PROMPT = (
    "You are the assistant of a wholesale bakery. Answer in the language of the question, briefly, and only from what"
    " the order book below says. If it does not say, answer that you do not know and name who does.\n\n"
    + "\n".join(
        f"Order {number}: 40 loaves of rye, 120 rolls, delivery at 05:30, paid by invoice." for number in range(8)
    )
)


def _body(model: str, *, stream: bool) -> bytes:
    question = {"role": "user", "content": "How many rolls go out tomorrow, and who pays for order 5?"}
    messages = [{"role": "system", "content": PROMPT}, question]
    return msgspec.json.encode({"model": model, "messages": messages, "temperature": 0.2, "stream": stream})


PHASES = (
    *(Phase("JSON", connections, _body(BURST, stream=False)) for connections in CONNECTIONS),
    *(Phase("burst of 50 chunks", connections, _body(BURST, stream=True)) for connections in CONNECTIONS),
    Phase("50 chunks, one every 20 ms", PACED_STREAMS, _body(PACED, stream=True), is_paced=True),
)


class Bench:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._postmaster = postmaster()
        self._redis = _redis()
        self.report = Report(PHASES)

    def warm_up(self, peer: Peer) -> None:
        for phase in (PHASES[1], PHASES[4]):
            self._drive(peer, phase, WARM_UP_SECONDS)

    def measure(self, peer: Peer, phase: Phase) -> None:
        spent = self._spent(peer)
        run = self._drive(peer, phase, 2.5 * CHUNKS * PAUSE_SECONDS if phase.is_paced else self._seconds)
        proxy, database, redis = ((b - a) / run.requests * 1e6 for a, b in zip(spent, self._spent(peer), strict=True))
        found = Measure(
            run.requests / run.seconds, run.percentile(0.5), run.percentile(0.99),
            proxy, database, redis, os.getloadavg()[0],
        )  # fmt: skip
        if isinstance(run, PacedRun):
            found.first_p50, found.first_p99 = (percentile(run.first_ms, share) for share in (0.5, 0.99))
            found.lag_p50, found.lag_p99 = (percentile(run.lags_ms, share) for share in (0.5, 0.99))
            found.jitter = run.jitter_ms
        self.report.add(peer.name, phase, found, peer.memory())

    def _drive(self, peer: Peer, phase: Phase, seconds: float) -> Run:
        """Ask, and wait until the ledger has what was answered."""
        asked = itertools.repeat(request(peer.port, peer.secret, phase.body, "/v1/chat/completions"))
        run = PacedRun() if phase.is_paced else Run()
        spread = CHUNKS * PAUSE_SECONDS if phase.is_paced else 0.0
        uvloop.run(drive(run, peer.port, asked, phase.connections, seconds, spread_seconds=spread))
        if set(run.statuses) != {"200"}:
            raise SystemExit(f"{peer.name}, {phase.name}: answers were {run.statuses}; {run.last_answer[:600]!r}")
        peer.answered += run.requests
        if isinstance(peer, LedgerPeer):
            _wait_for_ledger(peer)
        return run

    def _spent(self, peer: Peer) -> tuple[float, float, float]:
        return peer.cpu_seconds(), cpu_seconds_of_children(self._postmaster), cpu_seconds(self._redis)


def _wait_for_ledger(peer: LedgerPeer) -> None:
    """Settling is part of what a call costs, and it comes after the answer."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (stored := peer.stored()) < peer.answered:
        if time.monotonic() > deadline:
            raise SystemExit(f"{peer.name}: {peer.answered} calls were answered, the ledger has {stored}")
        time.sleep(0.05)


def _redis() -> psutil.Process:
    return psutil.Process(_ask_redis("server")["process_id"])


def _ask_redis(section: str) -> dict[str, Any]:
    import redis

    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        found: dict[str, Any] = client.info(section)
    return found


def _tell_checks(found: Sequence[LedgerPeer]) -> None:
    """Where Redis is too slow calls pass unchecked, and are cheaper than they ought to be."""
    calls = sum(peer.answered for peer in found if peer.name != peers.WITHOUT_LIMITS)
    asked = _ask_redis("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
    unchecked = "" if asked >= 2 * calls else ": SOME PASSED UNCHECKED, as Redis did not answer in time"
    print(f"request rates of {calls:,} calls: {asked:,} checks and corrections in Redis{unchecked}")


def _is_ledger_right(found: Sequence[LedgerPeer]) -> bool:
    """Hold events and their tokens against what was answered, and say so."""
    is_right = True
    for peer in found:
        events, tokens, estimates = peer.events()
        is_equal = (events, tokens, estimates) == (peer.answered, peer.answered * TOKENS_PER_CALL, 0)
        is_right = is_right and is_equal
        print(
            f"{peer.name}: answered {peer.answered:,} with {peer.answered * TOKENS_PER_CALL:,} tokens; the ledger has"
            f" {events:,} events, {estimates} of them estimates, {tokens:,} tokens{'' if is_equal else ': DIFFERENT'}"
        )
    return is_right


def measure(seconds: float, rounds: int, environment: Path, directory: Path, cores: Sequence[int]) -> None:
    port = free_port()
    upstream = f"http://127.0.0.1:{port}"
    organizations = peers.found_organizations(upstream)
    with ExitStack() as stack:
        model_server = stack.enter_context(serving([sys.executable, "-m", "benchmarks.model_server", str(port)], port))
        found: list[Peer] = [
            Peer(name=peers.DIRECT, port=port, secret="sk-upstream", process=model_server),
            stack.enter_context(peers.bare_proxy(upstream, cores)),
        ]
        if environment.exists():
            print(f"LiteLLM {peers.litellm_version(environment)}, one worker")
            found.append(stack.enter_context(peers.litellm(environment, upstream, directory, cores)))
        else:
            print(f"NO LITELLM in {environment}: it is not measured, and there are no ratios to it.\n"
                  "benchmarks/README.md says how to install it.")  # fmt: skip
        ours = stack.enter_context(peers.gateway(organizations, cores))
        found += ours
        bench = Bench(seconds)
        for peer in found:
            bench.warm_up(peer)
        for _ in range(rounds):
            for phase in PHASES:
                for peer in found:
                    bench.measure(peer, phase)
        bench.report.tell()
        _tell_checks(ours)
        if not _is_ledger_right(ours):
            raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.5, help="the length of each phase that is not paced")
    parser.add_argument("--rounds", type=int, default=2, help="how often each phase is measured")
    parser.add_argument(
        "--litellm", type=Path, default=Path("/tmp/litellm-bench"), help="the environment that has LiteLLM's proxy"
    )
    chosen = parser.parse_args()
    first, *others = sorted(os.sched_getaffinity(0))
    if others:
        # Inherited by all that is started from here, unless it is given its own.
        os.sched_setaffinity(0, others)
    directory = own_databases(GATEWAY_ALLOW_PRIVATE_UPSTREAMS="1")
    measure(chosen.seconds, chosen.rounds, chosen.litellm.absolute(), directory, [first] if others else [])


if __name__ == "__main__":
    main()
