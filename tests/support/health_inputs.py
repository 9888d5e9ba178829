"""What a health-scorer test feeds in and reads out: entities, pulses, and a stand-in for the published rows."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from kgents_health_scorer.alerts import alert_same
from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.reducer import Scorer
from kgents_health_scorer.same import health_same
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref, Value
from kgents_shared.contract.health import Health
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread

START = datetime(2026, 1, 1, tzinfo=UTC)
INTERVAL_S = 10.0
POD = Ref("c1", "pod", "cart-7f", "shop")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def entity(
    ref: Ref = POD,
    status: str = "running",
    reason: str = "",
    *,
    uid: str = "",
    stale: list[str] | None = None,
    sources: list[str] | None = None,
    attributes: Mapping[str, Value] | None = None,
    at_s: float = 0.0,
) -> TopologyEntity:
    return TopologyEntity(
        text=f"{ref}",
        ref=ref,
        uid=uid,
        status=status,
        reason=reason,
        stale=stale or [],
        sources=sources or [],
        attributes=dict(attributes or {}),
        at=at(at_s),
    )


def source(*unread: Unread, name: str = "k8s", entities: int = 2, at_s: float = 0.0) -> TopologyEntity:
    """The message of a source of the same cluster."""
    ref = Ref(POD.cluster, "source", name)
    return TopologyEntity(
        text="", ref=ref, status="running", sources=[name], unread=list(unread), unread_entities=entities, at=at(at_s)
    )


def pulse(
    at_s: float,
    ref: Ref = POD,
    *,
    memory: float | None = None,
    cpu: float | None = None,
    source: str = "k8s",
    uid: str = "",
    custom: Mapping[str, float | None] | None = None,
) -> ResourcePulse:
    """One sample; `memory` is the ratio of a limit of 1,000,000 bytes, `cpu` that of a limit of one core."""
    return ResourcePulse(
        ref=ref,
        source=source,
        timestamp=at(at_s),
        interval_s=INTERVAL_S,
        uid=uid,
        cpu_percent=None if cpu is None else cpu * 100,
        memory_bytes=None if memory is None else round(memory * 1_000_000),
        memory_limit_bytes=None if memory is None else 1_000_000,
        custom={**({} if cpu is None else {"cpu_limit_percent": 100.0}), **(custom or {})},
    )


class Published:
    """The rows of the health and alert streams, with the state table's rule: what is the same is not written."""

    def __init__(self) -> None:
        self.health: dict[Ref, Health] = {}
        self.alerts: dict[tuple[Ref, str], Alert] = {}

    def write(self, messages: Iterable[Health | Alert]) -> list[Health | Alert]:
        """Take over messages; what it returns is what a subscriber would have seen."""
        return [message for message in messages if self._is_news(message)]

    def _is_news(self, message: Health | Alert) -> bool:
        if isinstance(message, Health):
            return _replace(self.health, message.ref, message, health_same)
        return _replace(self.alerts, (message.ref, message.check), message, alert_same)


K = TypeVar("K")
M = TypeVar("M", Health, Alert)


def _replace(rows: dict[K, M], key: K, message: M, same: Callable[[M, M], bool]) -> bool:
    old = rows.get(key)
    if message.is_removal:
        return rows.pop(key, None) is not None
    if old is None or not same(old, message):
        rows[key] = message
        return True
    return False


class Watch:
    """A scorer whose every input is judged at once, and what it publishes."""

    def __init__(self) -> None:
        self.scorer = Scorer(CATALOGUE)
        self.published = Published()

    def entity(self, what: TopologyEntity, at_s: float = 0.0) -> list[Health | Alert]:
        self.scorer.on_topology(what, what.ref, now=at(at_s), evidence=f"KGENTS_TOPOLOGY:{at_s:.0f}")
        return self.published.write(self.scorer.take())

    def gone(self, ref: Ref = POD, at_s: float = 0.0) -> list[Health | Alert]:
        self.scorer.on_topology(None, ref, now=at(at_s), evidence=f"KGENTS_TOPOLOGY:{at_s:.0f}")
        return self.published.write(self.scorer.take())

    def pulse(self, what: ResourcePulse, *, delay_s: float = 0.0) -> list[Health | Alert]:
        """A sample, stored when it was taken or later, after it had waited for NATS."""
        now, evidence = what.timestamp + timedelta(seconds=delay_s), f"KGENTS_PULSE:{what.timestamp:%H%M%S}"
        self.scorer.on_pulse(what, now=now, evidence=evidence, delay_s=delay_s)
        return self.published.write(self.scorer.take())

    def memory(self, *ratios: float, start_s: float) -> list[str]:
        """Feed samples one interval apart; the levels after each."""
        levels = []
        for index, ratio in enumerate(ratios):
            self.pulse(pulse(start_s + index * INTERVAL_S, memory=ratio))
            levels.append(self.health().level)
        return levels

    def away(self, begin_s: float, end_s: float) -> None:
        """NATS was away."""
        self.scorer.was_away(*(round(at(each).timestamp() * 1e9) for each in (begin_s, end_s)))

    def tick(self, at_s: float) -> list[Health | Alert]:
        self.scorer.tick(at(at_s))
        return self.published.write(self.scorer.take())

    def health(self, ref: Ref = POD) -> Health:
        return self.published.health[ref]

    def checks(self, ref: Ref = POD) -> list[str]:
        return [reason.check for reason in self.health(ref).reasons]

    def states(self, ref: Ref = POD) -> dict[str, str]:
        """The states of the entity's alerts, by check."""
        return {check: alert.state for (of, check), alert in self.published.alerts.items() if of == ref}
