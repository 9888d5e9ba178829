"""The `text` of entities, sources and pulses: one plain sentence from what the message holds.

An entity's sentence is made of state alone, so an unchanged entity keeps its bytes.
"""

from collections.abc import Iterator
from typing import Final

from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.pulse import DatabasePulse, Inbound, Pool, Pulse, ResourcePulse, TrafficPulse
from kgents_shared.contract.quantity import worded
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.edges import RUNS_ON
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM
from kgents_shared.contract.vocabulary.figures.unit import ending_of, unit_of

SCOPES_SHOWN: Final = 3
"""Scopes in one sentence; the message holds them all."""
FIGURES_SHOWN: Final = 4
"""Figures in one sentence; the message holds them all."""
CORES_FROM_PERCENT: Final = 200.0
"""CPU beyond this is given in cores."""

_FIRST: Final = ("qps", "ops_per_second", "searches_per_second", "tps", "latency_ms", "hit_rate", "cache_hit_ratio")
"""What comes first of a database's performance."""


def of_entity(entity: Entity) -> str:
    """`pod shop/cart-7f is running on node n3`; `pod shop/cart-7f is pending (ImagePullBackOff)`."""
    if entity.is_removal:
        return f"{entity.ref} is gone ({entity.reason})" if entity.reason else f"{entity.ref} is gone"
    condition = f"{entity.status} ({entity.reason})" if entity.reason else entity.status
    return f"{entity.ref} is {condition}{_place(entity)}"


def _place(entity: Entity) -> str:
    for each in entity.connections:
        if each.kind == RUNS_ON and each.direction == "out" and isinstance(each.peer, Ref):
            return f" on {each.peer}"
    return ""


def of_source(source: TopologyEntity) -> str:
    """`source k8s reports nothing: no heartbeat; 11,100 entities are stale`, or that it reports everything."""
    if not source.unread:
        return f"{source.ref} reports everything again"
    is_silent = any(each.is_everything for each in source.unread)
    what = "reports nothing" if is_silent else f"cannot read {unread_scopes(source)}"
    return f"{source.ref} {what}: {unread_why(source)}; {stale_entities(source)}"


def unread_scopes(source: TopologyEntity) -> str:
    """`pod in shop, part build`: the first scopes that a source cannot read, and how many more there are."""
    names = list(map(str, source.unread[:SCOPES_SHOWN]))
    names += [f"{len(source.unread) - SCOPES_SHOWN} more"] if len(source.unread) > SCOPES_SHOWN else []
    return ", ".join(names)


def unread_why(source: TopologyEntity) -> str:
    """Why a source cannot read its first scope."""
    return next((each.reason for each in source.unread if each.reason), "no reason given")


def stale_entities(source: TopologyEntity) -> str:
    """`1,204 entities are stale`."""
    number = source.unread_entities
    return f"{number:,} {'entity is' if number == 1 else 'entities are'} stale"


def of_pulse(pulse: Pulse) -> str:
    """`container shop/cart-7f: cpu 3.1 %, memory 48.1 MB of 128 MB`; `database orders is failing: refused`.

    `app shop/cart: serves 12/s, p95 41 ms, errors 0.5 %, calls 3 peers`.
    """
    if isinstance(pulse, ResourcePulse):
        return f"{pulse.ref}: {', '.join(_resource_parts(pulse)) or 'no figures'}"
    if isinstance(pulse, TrafficPulse):
        return f"{pulse.ref}: {', '.join(_traffic_parts(pulse)) or 'no figures'}"
    condition = f"{pulse.phase} ({pulse.cause})" if pulse.cause else pulse.phase
    return ": ".join(filter(None, (f"{pulse.ref} is {condition}", ", ".join(_database_parts(pulse)))))


def _resource_parts(pulse: ResourcePulse) -> list[str]:
    parts = list(_used(pulse))
    for name, value in pulse.custom.items():
        if len(parts) >= FIGURES_SHOWN:
            break
        if value is not None and "limit" not in name:
            parts.append(_figure(CUSTOM, name, value))
    return parts


def _used(pulse: ResourcePulse) -> Iterator[str]:
    if pulse.cpu_percent is not None:
        is_many = pulse.cpu_percent > CORES_FROM_PERCENT
        yield f"cpu {worded(pulse.cpu_percent / 100, '{core}') if is_many else worded(pulse.cpu_percent, '%')}"
    if pulse.memory_bytes is not None:
        limit = f" of {worded(pulse.memory_limit_bytes, 'By')}" if pulse.memory_limit_bytes else ""
        yield f"memory {worded(pulse.memory_bytes, 'By')}{limit}"
    if pulse.network_rx_bytes is not None:
        yield f"receives {worded(pulse.network_rx_bytes, 'By/s')}"
    if pulse.network_tx_bytes is not None:
        yield f"sends {worded(pulse.network_tx_bytes, 'By/s')}"


def _traffic_parts(pulse: TrafficPulse) -> Iterator[str]:
    if pulse.inbound is not None:
        yield from _served(pulse.inbound, pulse.interval_s)
    called = sum(each.n > 0 for each in pulse.edges)
    if called:
        yield f"calls {called} peer{'s' if called > 1 else ''}"


def _served(inbound: Inbound, interval_s: float) -> Iterator[str]:
    yield f"serves {worded(inbound.n / interval_s, '/s')}"
    p95 = inbound.latency_ms.quantile(0.95) if inbound.latency_ms is not None else None
    if p95 is not None:
        yield f"p95 {worded(p95, 'ms')}"
    if inbound.errors and inbound.n:
        yield f"errors {worded(inbound.errors / inbound.n, '1')}"


def _database_parts(pulse: DatabasePulse) -> list[str]:
    parts = []
    if pulse.pool is not None and (connections := _connections(pulse.pool)):
        parts.append(connections)
    if pulse.memory is not None and pulse.memory.used_mb is not None:
        limit = f" of {worded(pulse.memory.max_mb, 'MiBy')}" if pulse.memory.max_mb else ""
        parts.append(f"memory {worded(pulse.memory.used_mb, 'MiBy')}{limit}")
    for name in _FIRST:
        value = pulse.performance.get(name)
        if value is not None and len(parts) < FIGURES_SHOWN:
            parts.append(_figure("performance", name, value))
    return parts


def _connections(pool: Pool) -> str:
    if pool.utilization is not None:
        return f"{worded(pool.utilization, '1')} of connections used"
    return worded(pool.active, "{connection}") if pool.active is not None else ""


def _figure(section: str, name: str, value: float) -> str:
    """`pending messages 12`, `messages 3/s`, `bytes fill 87 %`."""
    unit = unit_of(name, section)
    if unit.startswith("{"):  # the name says what is counted
        unit = unit[unit.index("}") + 1 :]
    return f"{name.removesuffix(ending_of(name)).replace('_', ' ')} {worded(value, unit)}"
