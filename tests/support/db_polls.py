"""One target polled repeatedly, and the health that the health-scorer computes from it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.source import Source, Tier
from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.reducer import Scorer
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.health import Health
from kgents_shared.contract.pulse import DatabasePulse
from kgents_shared.contract.topology import TopologyEntity
from support.health_inputs import Watch
from support.vocabulary import declared

START = datetime(2026, 1, 1, tzinfo=UTC)
INTERVAL_S = 10.0


class Polls:
    """Polls like `watch.py`: keeps the last sample and what is published. Also keeps every published byte."""

    def __init__(
        self,
        source: Source[Any],
        observe: Callable[[Any, Any, Scope], Facts],
        *,
        name: str = "cache",
        namespace: str = "",
        kind: str = "database",
    ) -> None:
        self.source = source
        self.published_bytes = b""
        self.published: dict[Ref, Entity] = {}
        self.last: Any = None
        self.events: list[Event] = []
        self.health_inputs = Watch()
        self.health_inputs.scorer = Scorer(CATALOGUE)
        self._observe = observe
        self._kind = kind
        self._name = name
        self._namespace = namespace
        self._count = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.source.aclose()

    @property
    def ref(self) -> Ref:
        return Ref("c1", self._kind, self._name, self._namespace)

    async def poll(self, *tiers: Tier) -> "Polled":
        """One poll, whose facts the health-scorer gets too."""
        sample = await self.source.read(tiers or ("fast", "medium", "slow"))
        self._count += 1
        at = START + timedelta(seconds=self._count * INTERVAL_S)
        facts = self._observe(
            self.last, sample, Scope("c1", self._name, self._namespace, INTERVAL_S, at, self.published)
        )
        declared(facts)
        self.published = {entity.ref: entity for entity in facts.entities}
        self.last = sample
        self.events += facts.events
        self.published_bytes += b"\n".join(encode(each) for each in [*facts.entities, *facts.pulses, *facts.events])
        for entity in facts.entities:
            self.health_inputs.entity(_merged(entity, at), at_s=self._count * INTERVAL_S)
        for pulse in facts.pulses:
            self.health_inputs.scorer.on_pulse(pulse, now=at, evidence="KGENTS_PULSE:1")
            self.health_inputs.published.write(self.health_inputs.scorer.take())
        return Polled(self, sample, facts)

    def skip(self, seconds: float) -> None:
        """Let time pass without a poll."""
        self._count += round(seconds / INTERVAL_S)

    async def repeat(self, count: int) -> "Polled":
        """Poll so often; returns the last. The health-scorer confirms a figure with its second sample."""
        polled = await self.poll()
        for _ in range(count - 1):
            polled = await self.poll()
        return polled


class Polled:
    """The facts of one poll, by what tests assert."""

    def __init__(self, polls: Polls, sample: Any, facts: Facts) -> None:
        self.sample = sample
        self.facts = facts
        self.entity: Entity = next(each for each in facts.entities if each.ref == polls.ref)
        pulse = next(each for each in facts.pulses if each.ref == polls.ref)
        assert isinstance(pulse, DatabasePulse)
        self.pulse: DatabasePulse = pulse
        self.health: Health = polls.health_inputs.health(polls.ref)
        self.checks = [reason.check for reason in self.health.reasons]

    @property
    def phase(self) -> tuple[str, str]:
        return self.pulse.phase, self.pulse.cause

    @property
    def entity_bytes(self) -> list[bytes]:
        return [encode(each) for each in self.facts.entities]

    def event(self, reason: str) -> Event:
        return next(each for each in self.facts.events if each.reason == reason)

    @property
    def events(self) -> list[str]:
        return [each.reason for each in self.facts.events]


def _merged(entity: Entity, at: datetime) -> TopologyEntity:
    return TopologyEntity(
        text=str(entity.ref),
        ref=entity.ref,
        uid=entity.uid,
        status=entity.status,
        reason=entity.reason,
        attributes=entity.attributes,
        at=at,
    )
