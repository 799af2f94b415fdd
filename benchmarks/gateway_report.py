"""The figures of benchmarks.gateway as tables, and the ratios that its aims are about."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from benchmarks.model_server import CHUNKS
from benchmarks.peers import DIRECT, LITELLM, OURS

AIMS = "aims: requests/s per core 30 times LiteLLM's with request rates, 15 times with holds; a tenth of its added p50"
AIM_MEMORY_MB = 150


class Phase(msgspec.Struct, frozen=True):
    """`body` is asked for over so many connections at a time."""

    name: str
    connections: int
    body: bytes
    is_paced: bool = False


class Measure(msgspec.Struct):
    """A phase of one peer, each figure the best of its rounds; latencies in milliseconds, CPU in µs a request."""

    rate: float
    p50: float
    p99: float
    cpu: float
    database_cpu: float
    redis_cpu: float
    load: float
    # Of paced streams: from the request to the first chunk, how much later chunks arrive than they left, and how much
    # that differs from one chunk to the next.
    first_p50: float = 0.0
    first_p99: float = 0.0
    lag_p50: float = 0.0
    lag_p99: float = 0.0
    jitter: float = 0.0

    @property
    def per_core(self) -> float:
        """Requests a second that one core of the peer's would answer, were it all the peer's."""
        return 1e6 / self.cpu

    def best_with(self, other: Measure) -> Measure:
        least = {
            name: min(getattr(self, name), getattr(other, name)) for name in self.__struct_fields__ if name != "rate"
        }
        return Measure(rate=max(self.rate, other.rate), **least)


class Report:
    def __init__(self, phases: Sequence[Phase]) -> None:
        self._phases = phases
        self._measures: dict[str, dict[Phase, Measure]] = {}
        # RSS and PSS in MB, the most there was.
        self._memory: dict[str, tuple[float, float]] = {}

    def add(self, peer: str, phase: Phase, found: Measure, memory: tuple[float, float]) -> None:
        """Keep the best of this and of what was measured before."""
        measures = self._measures.setdefault(peer, {})
        measures[phase] = found.best_with(measures[phase]) if phase in measures else found
        rss, pss = self._memory.get(peer, (0.0, 0.0))
        self._memory[peer] = (max(rss, memory[0]), max(pss, memory[1]))

    def tell(self) -> None:
        self._tell_requests()
        self._tell_paced()
        self._tell_memory()
        if LITELLM in self._measures:
            self._tell_ratios()

    def _tell_requests(self) -> None:
        print(f"\n{'':53} {'latency, ms':>15} {'added, ms':>15} {'CPU a request, µs':>22} {'requests/s':>10}")
        print(
            f"{'phase':20} {'conn':>4} {'peer':>20} {'/s':>6} {'p50':>7} {'p99':>7} {'p50':>7} {'p99':>7}"
            f" {'peer':>8} {'database':>8} {'redis':>5} {'per core':>9} {'load':>5}"
        )
        for phase in self._phases:
            if phase.is_paced:
                continue
            for peer, measures in self._measures.items():
                found, direct = measures[phase], self._measures[DIRECT][phase]
                stores = f"{found.database_cpu:8,.0f} {found.redis_cpu:5,.0f}" if peer in OURS else ""
                print(
                    f"{phase.name:20} {phase.connections:4} {peer:>20} {found.rate:6,.0f}"
                    f" {found.p50:7.2f} {found.p99:7.2f}"
                    f" {found.p50 - direct.p50:7.2f} {found.p99 - direct.p99:7.2f}"
                    f" {found.cpu:8,.0f} {stores:14}"
                    f" {found.per_core:9,.0f} {found.load:5.1f}"
                )

    def _tell_paced(self) -> None:
        for phase in self._phases:
            if not phase.is_paced:
                continue
            print(f"\n{phase.name}, {phase.connections} streams open at a time")
            print(
                f"{'':20} {'first chunk, ms':>15} {'added, ms':>15} {'lag of a chunk':>15} {'added, ms':>15}"
                f" {'jitter':>7} {'CPU, µs':>8}"
            )
            print(
                f"{'peer':20} {'p50':>7} {'p99':>7} {'p50':>7} {'p99':>7} {'p50':>7} {'p99':>7} {'p50':>7} {'p99':>7}"
                f" {'ms':>7} {'a chunk':>8} {'load':>5}"
            )
            direct = self._measures[DIRECT][phase]
            for peer, measures in self._measures.items():
                found = measures[phase]
                print(
                    f"{peer:20} {found.first_p50:7.2f} {found.first_p99:7.2f} {found.first_p50 - direct.first_p50:7.2f}"
                    f" {found.first_p99 - direct.first_p99:7.2f} {found.lag_p50:7.2f} {found.lag_p99:7.2f}"
                    f" {found.lag_p50 - direct.lag_p50:7.2f} {found.lag_p99 - direct.lag_p99:7.2f} {found.jitter:7.2f}"
                    f" {found.cpu / CHUNKS:8.1f} {found.load:5.1f}"
                )

    def _tell_memory(self) -> None:
        print("\nmemory after load, MB: RSS (PSS)")
        for peer, (rss, pss) in self._memory.items():
            aim = f" (aim {AIM_MEMORY_MB})" if peer in OURS else ""
            print(f"{peer:20} {rss:5.0f} ({pss:.0f}){aim}")

    def _tell_ratios(self) -> None:
        print(f"\n{'ours to LiteLLM':31} {'requests/s per core':>35} {'added p50':>35}")
        print(f"{'phase':26} {'conn':>4}" + 2 * "".join(f" {peer.removeprefix('ours, '):>17}" for peer in OURS))
        for phase in self._phases:
            direct, theirs = self._measures[DIRECT][phase], self._measures[LITELLM][phase]
            per_core, added = [], []
            for peer in OURS:
                ours = self._measures[peer][phase]
                per_core.append(f" {ours.per_core / theirs.per_core:17.1f}")
                share = (ours.p50 - direct.p50) / (theirs.p50 - direct.p50)
                added.append(f" {share:17.3f}")
            print(f"{phase.name:26} {phase.connections:4}{''.join(per_core)}{''.join(added)}")
        print(AIMS)
