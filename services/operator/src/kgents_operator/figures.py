"""What the stream knows of the servers: pulses and health, read every half minute → figures by resource.

Nothing waits for it: while NATS is away, or no collector reports, there are no figures, and databases are looked after.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
import structlog

from kgents_operator.resources.postgres import Connections
from kgents_operator.status import Figures
from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.health import STALE
from kgents_shared.contract.pulse import DatabasePulse, Pulse
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import qdrant, redis
from kgents_shared.kubernetes.sink import Key
from kgents_shared.runtime.clock import Clock
from kgents_shared.view.entity import EntityView
from kgents_shared.view.live import snapshot
from kgents_shared.view.pulses import last_pulses
from kgents_shared.view.selection import select

EVERY_S: Final = 30.0
"""Seconds between two readings; a status is written as often at most because of figures."""
BACKENDS: Final = ("postgres", "redis", "valkey", "qdrant")
MISSED: Final = 3
"""Intervals after which a pulse is no longer what is so now."""

_log = structlog.get_logger(__name__)


class Stream:
    """The figures as they were read last."""

    def __init__(self, bus: Bus, clock: Clock, cluster: str) -> None:
        self.changed: Callable[[], None] = lambda: None
        """Called when figures were read."""
        self._bus = bus
        self._clock = clock
        self._cluster = cluster
        self._found: dict[Key, Figures] = {}
        self._fault = "the stream was not read yet"

    def of(self, namespace: str, pods: Sequence[str]) -> Figures:
        """Of a resource with these pods, as collector-db names them: of the first, with the health of any."""
        return together([self._found.get((namespace, pod)) for pod in pods], self._fault)

    async def run(self) -> None:
        """Read again and again. Never returns."""
        chosen = select(cluster=[self._cluster], kind=[kinds.DATABASE, kinds.COLLECTION])
        while True:
            try:
                pulses = await last_pulses(self._bus, chosen)
                fold = await snapshot(self._bus, chosen, signals=("topology", "health"))
                views = {each.ref: each for each in fold.entities()}
                self._found, self._fault = found(pulses, views, self._clock.now()), ""
            except (BusError, TimeoutError) as error:
                self._found, self._fault = {}, f"the stream cannot be read: {error}"
            self.changed()
            await self._clock.sleep(EVERY_S)


def together(servers: Sequence[Figures | None], fault: str) -> Figures:
    """Of the servers of one resource. `fault`: why there are none, if that is known."""
    first = servers[0] if servers and servers[0] else Figures(fault=fault or "no pulses of this server")
    critical = next((each.critical for each in servers if each and each.critical), "")
    return msgspec.structs.replace(first, critical=critical)


def found(pulses: Mapping[Ref, Pulse], views: Mapping[Ref, EntityView], now: datetime) -> dict[Key, Figures]:
    """The figures of each database that has any; a pulse that is too old has none."""
    figures: dict[Key, Figures] = {}
    current = {
        ref: pulse
        for ref, pulse in pulses.items()
        if isinstance(pulse, DatabasePulse) and pulse.backend in BACKENDS
        if (now - pulse.timestamp).total_seconds() <= MISSED * pulse.interval_s
    }
    vectors = _vectors(current)
    for ref, pulse in current.items():
        if ref.kind != kinds.DATABASE:
            continue
        pool, memory, count = pulse.pool, pulse.memory, pulse.collections.count if pulse.collections else None
        figures[ref.namespace, ref.name] = Figures(
            backend=pulse.backend,
            connections=Connections(active=pool.active, idle=pool.idle, waiting=pool.waiting) if pool else None,
            memory_mb=memory.used_mb if memory else None,
            collections=None if count is None else vectors.get((ref.namespace, ref.name), {}),
            collection_count=count,
            hit_rate=pulse.performance.get(redis.HIT_RATE),
            measured_at=pulse.timestamp.strftime("%Y-%m-%dT%H:%M:%SZ") if pool or memory or count is not None else None,
            critical=_critical(views.get(ref)),
        )
    return figures


def _vectors(pulses: Mapping[Ref, DatabasePulse]) -> dict[Key, dict[str, int | None]]:
    """How many vectors are in each collection, by the server that says so."""
    found: dict[Key, dict[str, int | None]] = {}
    for ref, pulse in pulses.items():
        if ref.kind == kinds.COLLECTION:
            server, _, name = ref.name.partition("/")
            points = pulse.custom.get(qdrant.POINTS)
            found.setdefault((ref.namespace, server), {})[name] = None if points is None else int(points)
    return found


def _critical(view: EntityView | None) -> str:
    """Why it is critical, by what is attested now; empty: it is not, or that is not known."""
    health = view.health if view is not None else None
    if health is None or health.level != "critical" or any(each.check == STALE for each in health.reasons):
        return ""
    return health.text
