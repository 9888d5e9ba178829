"""One target, polled for as long as it is configured: schedule → source → mapping → the collector."""

from collections.abc import Sequence
from contextlib import aclosing
from random import Random
from typing import Final, Generic, TypeVar

import structlog

from kgents_collector_db.backend import Backend, Sample
from kgents_collector_db.breaker import Breaker
from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.source import Source, Tier
from kgents_collector_db.targets.target import Target
from kgents_shared.contract.unread import Unread
from kgents_shared.runtime.clock import Clock
from kgents_shared.runtime.collector import Collector, Trace
from kgents_shared.runtime.telemetry import Telemetry

JITTER: Final = 0.1
"""Share of the interval: keeps several collectors from polling at the same moment."""

S = TypeVar("S", bound=Sample)

_log = structlog.get_logger(__name__)


class Schedule:
    """Which tiers a poll at a given moment includes: the costly ones are due less often.

    A poll after a failed one reads the fast tier only. If it succeeds, the costly tiers of the failed poll caused the
    failure: they wait for their next interval, so that they do not fail every poll. If it fails too, the server
    itself is down, and the costly tiers are due as soon as it is back.
    """

    def __init__(self, target: Target) -> None:
        self._every_s: dict[Tier, float] = {"medium": target.medium_interval_s, "slow": target.slow_interval_s}
        self._done_s: dict[Tier, float] = {}
        self._suspects: frozenset[Tier] = frozenset()
        self._is_reachable = True

    def due(self, now_s: float) -> frozenset[Tier]:
        """The tiers to read now."""
        if not self._is_reachable:
            return frozenset({"fast"})
        late = {tier for tier, every_s in self._every_s.items() if self._done_s.get(tier, -every_s) + every_s <= now_s}
        return frozenset({"fast", *late})

    def note(self, tiers: frozenset[Tier], now_s: float, *, succeeded: bool) -> None:
        """Record a poll of these tiers at this moment, and whether it succeeded."""
        if succeeded:
            self._done_s.update(dict.fromkeys(tiers | self._suspects, now_s))
        self._suspects = frozenset() if succeeded else tiers - {"fast"}
        self._is_reachable = succeeded


class Watch(Generic[S]):
    """The polls of one target."""

    def __init__(self, backend: Backend[S], cluster: str, clock: Clock, random: Random) -> None:
        self.name = backend.name
        self.target = backend.target
        self._backend = backend
        self._cluster = cluster
        self._clock = clock
        self._random = random
        self._breaker = Breaker(backend.target.breaker_failures, backend.target.breaker_pause_s)
        self._schedule = Schedule(backend.target)
        self._last: S | None = None

    async def run(self, collector: Collector, telemetry: Telemetry, *, delay_s: float) -> None:
        """Poll, publish, wait; never returns.

        Args:
            collector: publishes what is read.
            telemetry: traces each poll.
            delay_s: before the first poll, so that the polls of many targets are spread.
        """
        await self._clock.sleep(delay_s)
        async with aclosing(self._backend.open()) as source:
            while True:
                started_s = self._clock.monotonic_s()
                with telemetry.span("collector-db poll") as trace:
                    await self._collect(source, collector, trace)
                next_s = started_s + self.target.interval_s * (1 + self._random.uniform(-JITTER, JITTER))
                await self._clock.sleep(max(0.0, next_s - self._clock.monotonic_s()))

    async def _collect(self, source: Source[S], collector: Collector, trace: Trace) -> None:
        """Publish the facts of one poll. A poll that read nothing publishes its cause, and is attested as unread."""
        part = self._backend.part
        try:
            sample = await self._poll(source)
            scope = Scope(
                self._cluster,
                self.name,
                self.target.namespace,
                self.target.interval_s * (1 + JITTER),
                self._clock.now(),
                collector.part(part),
            )
            facts = self._backend.observe(self._last, sample, scope)
            await collector.publish(facts, part, faults=_joined(self.name, _faults(sample)), trace=trace)
        except Exception as error:  # noqa: BLE001 - a defect of this collector in one target must not stop the others
            _log.exception("collection_failed", target=self.name)
            failure = f"{self.name}: this collector failed: {type(error).__name__}; see its log"
            collector.attest(part, [Unread(reason=failure)])
            return
        self._last = sample

    async def _poll(self, source: Source[S]) -> S:
        """One poll; while the breaker is open, the sample of the last poll."""
        now_s = self._clock.monotonic_s()
        if self._last is not None and self._breaker.is_open(now_s):
            return self._last
        tiers = self._schedule.due(now_s)
        sample = await source.read(tiers)
        cause = sample.unreachable.cause if sample.unreachable is not None else None
        self._breaker.note(cause, self._clock.monotonic_s(), jitter=self._random.uniform(-1, 1))
        self._schedule.note(tiers, now_s, succeeded=sample.unreachable is None)
        return sample


def _faults(sample: Sample) -> Sequence[str]:
    """What failed, without what the facts name as unread."""
    if sample.unreachable is None:
        return sample.faults
    return [] if sample.unreachable.is_ours else [sample.unreachable.text]


def _joined(name: str, why: Sequence[str]) -> list[str]:
    return ["; ".join(f"{name}: {text}" for text in why)] if why else []
