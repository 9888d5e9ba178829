"""One target looked at again and again, and what the health-scorer makes of what was seen."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.source import Source, Tier
from kgents_health_scorer.checks import CATALOGUE, qdrant, redis
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
CHECKS = (*CATALOGUE, *redis.CHECKS, *qdrant.CHECKS)


class Looks:
    """What the frame does: keeps the last sample and what is published; also keeps every byte that was said."""

    def __init__(
        self,
        source: Source[Any],
        observe: Callable[[Any, Any, Scope], Facts],
        *,
        name: str = "cache",
        namespace: str = "",
    ) -> None:
        self.source = source
        self.said = b""
        self.published: dict[Ref, Entity] = {}
        self.last: Any = None
        self.events: list[Event] = []
        self.health_inputs = Watch()
        self.health_inputs.scorer = Scorer({each.id: each for each in CHECKS}.values())
        self._observe = observe
        self._name = name
        self._namespace = namespace
        self._count = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.source.aclose()

    @property
    def ref(self) -> Ref:
        return Ref("c1", "database", self._name, self._namespace)

    async def look(self, *tiers: Tier) -> "Look":
        """One look, told to the health-scorer too."""
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
        self.said += b"\n".join(encode(each) for each in [*facts.entities, *facts.pulses, *facts.events])
        for entity in facts.entities:
            self.health_inputs.entity(_merged(entity, at), at_s=self._count * INTERVAL_S)
        for pulse in facts.pulses:
            self.health_inputs.scorer.on_pulse(pulse, now=at, evidence="KGENTS_PULSE:1")
            self.health_inputs.published.write(self.health_inputs.scorer.take())
        return Look(self, sample, facts)

    async def looks(self, count: int) -> "Look":
        """Some looks; the last of them. The health-scorer believes a figure when it has seen it twice."""
        look = await self.look()
        for _ in range(count - 1):
            look = await self.look()
        return look


class Look:
    """One look's facts, by what tests ask for."""

    def __init__(self, looks: Looks, sample: Any, facts: Facts) -> None:
        self.sample = sample
        self.facts = facts
        self.entity: Entity = next(each for each in facts.entities if each.ref == looks.ref)
        pulse = next(each for each in facts.pulses if each.ref == looks.ref)
        assert isinstance(pulse, DatabasePulse)
        self.pulse: DatabasePulse = pulse
        self.health: Health = looks.health_inputs.health(looks.ref)
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
