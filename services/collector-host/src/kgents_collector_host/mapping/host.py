"""The machine itself: kernel figures → one entity, and what it uses."""

from typing import Final

from kgents_collector_host.mapping.history import History
from kgents_collector_host.mapping.scope import Fact, Scope, elapsed, per_second, ratio
from kgents_collector_host.sample import Machine, Sample
from kgents_shared.contract.entity import Connection, Entity, Value
from kgents_shared.contract.vocabulary import edges
from kgents_shared.contract.vocabulary.attributes import any_entity, otel
from kgents_shared.contract.vocabulary.attributes import host as attribute
from kgents_shared.contract.vocabulary.figures import host as figure
from kgents_shared.contract.vocabulary.figures.figure import FigureName

SAME_MACHINE: Final = "machine id and run of the kernel"
"""By which it is the node that another collector sees."""
_PRESSURES: Final = (
    (figure.CPU_PRESSURE_RATIO, "cpu", "some_s"),
    (figure.MEMORY_PRESSURE_RATIO, "memory", "full_s"),
    (figure.IO_PRESSURE_RATIO, "io", "full_s"),
)


def fact(before: Sample | None, now: Sample, history: History, scope: Scope) -> Fact:
    """Its entity and its figures."""
    machine = now.machine
    entity = Entity(
        ref=scope.host_ref,
        source=scope.source,
        uid=machine.boot_id,
        status="running",
        attributes={
            **{key: value for key, value in _attributes(machine, now, history).items() if value not in (None, "", 0)},
            attribute.CLOCK_SYNCHRONIZED: now.clock.is_synchronized if now.clock is not None else None,
        },
        addresses=list(now.addresses),
        connections=[Connection(edges.SAME_AS, machine.alias, evidence=SAME_MACHINE)] if machine.alias else [],
    )
    total, available = now.memory.get("MemTotal"), now.memory.get("MemAvailable")
    cpu = _cpu_percent(before, now)
    rx, tx = _network(before, now)
    used = total - available if total is not None and available is not None else None
    known = {"cpu_percent": cpu, "memory_bytes": used, "network_rx_bytes": rx, "network_tx_bytes": tx}
    pulse = scope.pulse(
        entity,
        _figures(before, now, history),
        cpu_percent=cpu,
        memory_bytes=used,
        rx_bytes=rx,
        tx_bytes=tx,
        unread=known,
    )
    return Fact(entity, pulse)


def _attributes(machine: Machine, now: Sample, history: History) -> dict[str, Value]:
    since = history.unsynchronized_since
    return {
        attribute.OOM_KILLED_AT: history.killed_at.isoformat() if history.killed_at is not None else None,
        attribute.CLOCK_UNSYNCHRONIZED_SINCE: since.isoformat() if since is not None else None,
        otel.HOST_ID: machine.id,
        otel.HOST_NAME: machine.name,
        otel.HOST_ARCH: machine.architecture,
        otel.OS_TYPE: "linux",
        otel.OS_DESCRIPTION: machine.system,
        any_entity.OS_KERNEL_VERSION: machine.kernel,
        attribute.CPUS: machine.cpus,
        attribute.MEMORY_BYTES: now.memory.get("MemTotal"),
    }


def _cpu_percent(before: Sample | None, now: Sample) -> float | None:
    """Of one core. A counter that runs backwards, as that of waiting does, makes no figure."""
    if before is None or before.cpu is None or now.cpu is None:
        return None
    busy, idle = now.cpu.busy_ticks - before.cpu.busy_ticks, now.cpu.idle_ticks - before.cpu.idle_ticks
    if busy < 0 or busy + max(idle, 0) <= 0:
        return None
    return 100.0 * now.machine.cpus * busy / (busy + max(idle, 0))


def _network(before: Sample | None, now: Sample) -> tuple[float | None, float | None]:
    """Over all interfaces that are in both samples; one whose counters were set back makes the sum unknown."""
    if before is None:
        return None, None
    elapsed_s = elapsed(before, now)
    old = {each.name: each for each in before.interfaces}
    rates = [
        (
            per_second(old[each.name].rx_bytes, each.rx_bytes, elapsed_s),
            per_second(old[each.name].tx_bytes, each.tx_bytes, elapsed_s),
        )
        for each in now.interfaces
        if each.name in old
    ]
    received, sent = ([pair[side] for pair in rates] for side in (0, 1))
    return _sum(received), _sum(sent)


def _sum(rates: list[float | None]) -> float | None:
    known = [each for each in rates if each is not None]
    return sum(known) if known and len(known) == len(rates) else None


def _figures(before: Sample | None, now: Sample, history: History) -> dict[FigureName, float | None]:
    total, swap = now.memory.get("MemTotal"), now.memory.get("SwapTotal")
    found: dict[FigureName, float | None] = {
        figure.MEMORY_AVAILABLE_RATIO: ratio(now.memory.get("MemAvailable"), total),
        figure.LOAD_1M: now.load[0] if now.load is not None else None,
        figure.LOAD_5M: now.load[1] if now.load is not None else None,
        figure.OOM_KILLS: now.oom_kills,
        figure.OOM_KILLS_RECENT: history.oom_kills(),
        figure.CLOCK_SKEW_S: now.clock_skew_s,
        figure.CLOCK_MAX_ERROR_S: now.clock.max_error_s if now.clock is not None else None,
        figure.CLOCK_UNSYNCHRONIZED_S: history.unsynchronized_s(now),
    }
    if now.clock is not None and now.clock.is_synchronized and now.clock.estimated_error_s:
        found[figure.CLOCK_ESTIMATED_ERROR_S] = now.clock.estimated_error_s
    if now.celsius is not None:
        found[figure.CELSIUS] = now.celsius
    if swap:
        found[figure.SWAP_USED_BYTES] = swap - now.memory.get("SwapFree", swap)
    if now.open_files is not None and now.open_files[1] < 1 << 62:  # beyond that there is no limit
        found[figure.OPEN_FILES_RATIO] = ratio(*now.open_files)
    if now.processes is not None:
        found[figure.PROCESSES] = len(now.processes)
        found[figure.ZOMBIES] = sum(each.is_zombie for each in now.processes)
        if now.pids_max:
            found[figure.PIDS_RATIO] = (len(now.processes) + now.kernel_threads) / now.pids_max
    for name, resource, total_s in _PRESSURES:
        if (pressure := now.pressure.get(resource)) is not None and getattr(pressure, total_s) is not None:
            old = before.pressure.get(resource) if before is not None else None
            found[name] = per_second(getattr(old, total_s, None), getattr(pressure, total_s), elapsed(before, now))
    return found
