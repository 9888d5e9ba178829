"""What containers use: two samples of counters → resource pulses; their sum and our own cost → the engine's pulse."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from kgents_collector_docker.answers import NEVER, Container, Info, Inventory, Stats
from kgents_collector_docker.mapping.container import cpu_limit, ref_of
from kgents_collector_docker.mapping.scope import SOURCE, Scope
from kgents_shared.contract.pulse import ALL, ResourcePulse, unread_of
from kgents_shared.contract.vocabulary.figures import docker as figure
from kgents_shared.contract.vocabulary.figures import resource
from kgents_shared.contract.vocabulary.figures.figure import FigureName

_NS_PER_S: Final = 1_000_000_000
MEASURED: Final = ("running", "paused")
"""States in which a container uses resources."""


class Sample(Struct, frozen=True):
    """One container's counters, and when it was started: they begin at zero then."""

    started_at: str
    stats: Stats
    took_s: float = 0.0
    """Seconds until the engine had answered."""


class Effort(Struct, frozen=True):
    """The cost of one round of measuring, and of all other requests since the round before."""

    seconds: float
    """Seconds since the round before."""
    requests: int
    bytes: int
    busy_s: float
    """Seconds waited for answers, summed over requests that waited side by side."""
    engine_cpu_s: float | None
    """Processor time of the engine's process, from all causes; None where it cannot be read."""
    failed: int
    """Containers that gave no answer in time."""


def measured(inventory: Inventory) -> list[str]:
    """The ids of the containers to measure: not those whose limits were never read."""
    return [
        id_
        for id_, each in inventory.containers.items()
        if each.state.status in MEASURED and id_ not in inventory.uninspected
    ]


def sample(stats: Stats, took_s: float, container: Container) -> Sample | None:
    """An answer; None if the container does not run any more."""
    return Sample(str(container.state.started_at), stats, took_s) if stats.read.year > NEVER else None


def of_container(
    before: Sample | None, now: Sample, container: Container, info: Info, scope: Scope, *, interval_s: float
) -> ResourcePulse:
    """The pulse of a container. Rates need the sample before; without it they are not known."""
    stats, old = now.stats, before.stats if before is not None and before.started_at == now.started_at else None
    seconds = (stats.read - old.read).total_seconds() if old is not None else None
    return _pulse(old, stats, seconds, container, info, scope, max(interval_s, seconds or now.took_s))


def without_figures(container: Container, scope: Scope, *, interval_s: float) -> ResourcePulse:
    """The pulse of a container that gave none."""
    return ResourcePulse(
        ref=ref_of(container, scope), source=SOURCE, timestamp=scope.sampled_at, interval_s=interval_s,
        uid=container.id, unread=[ALL],
    )  # fmt: skip


def of_engine(
    found: Iterable[ResourcePulse | None],
    inventory: Inventory,
    effort: Effort | None,
    scope: Scope,
    *,
    interval_s: float,
) -> ResourcePulse:
    """The engine's own pulse: how many containers, what they use together, and what this collector costs it.

    Args:
        found: the newest pulse of every container that runs; None for one that gave none.
        inventory: as last read.
        effort: the cost.
        scope: the engine.
        interval_s: until the next one.
    """
    newest = list(found)
    states = [each.state.status for each in inventory.containers.values()]
    figures: dict[FigureName, float | None] = {
        figure.CONTAINERS: float(len(states)),
        figure.CONTAINERS_RUNNING: float(states.count("running")),
        figure.CONTAINERS_PAUSED: float(states.count("paused")),
    }
    sums: dict[FigureName, float | None] = {
        figure.CONTAINERS_CPU_PERCENT: _sum(each.cpu_percent if each is not None else None for each in newest),
        figure.CONTAINERS_MEMORY_BYTES: _sum(each.memory_bytes if each is not None else None for each in newest),
    }
    if effort is not None and effort.seconds > 0:
        cpu_s = effort.engine_cpu_s
        figures |= {
            figure.ENGINE_CPU_PERCENT: 100 * cpu_s / effort.seconds if cpu_s is not None else None,
            figure.OBSERVER_REQUESTS_PER_SEC: effort.requests / effort.seconds,
            figure.OBSERVER_BYTES_PER_SEC: effort.bytes / effort.seconds,
            figure.OBSERVER_WAITING_RATIO: effort.busy_s / effort.seconds,
            figure.OBSERVER_FAILED_SAMPLES: float(effort.failed),
        }
    return ResourcePulse(
        ref=scope.host_ref,
        source=SOURCE,
        timestamp=scope.sampled_at,
        interval_s=interval_s,
        uid=inventory.info.lasting_id,
        custom={name: value for name, value in (figures | sums).items() if value is not None or name in sums},
    )


def _sum(values: Iterable[float | None]) -> float | None:
    """Not known if one of them is not, or there is none."""
    known = list(values)
    return float(sum(each for each in known if each is not None)) if known and None not in known else None


def _pulse(
    old: Stats | None,
    stats: Stats,
    seconds: float | None,
    container: Container,
    info: Info,
    scope: Scope,
    interval_s: float,
) -> ResourcePulse:
    cores = _rate(_cpu_ns(old), _cpu_ns(stats), seconds)
    cpu_percent = 100 * cores / _NS_PER_S if cores is not None else None
    limit = cpu_limit(container.host_config)
    limits = container.host_config
    memory_limit = limits.memory if limits.memory > 0 and limits.memory != info.mem_total else None
    pids, pids_max = stats.pids_stats.current, limits.pids_limit
    figures: dict[FigureName, float | None] = {
        resource.CPU_LIMIT_PERCENT: 100 * limit if limit is not None else None,
        figure.CPU_OF_LIMIT_PERCENT: cpu_percent / limit if cpu_percent is not None and limit else None,
        figure.CPU_OF_HOST_PERCENT: cpu_percent / info.ncpu if cpu_percent is not None and info.ncpu else None,
        figure.CPU_THROTTLED_RATIO: _throttled(old, stats),
        figure.BLOCK_READ_BYTES_PER_SEC: _rate(_block(old, "read"), _block(stats, "read"), seconds),
        figure.BLOCK_WRITE_BYTES_PER_SEC: _rate(_block(old, "write"), _block(stats, "write"), seconds),
        resource.MEMORY_CACHE_BYTES: _cache(stats),
        figure.PIDS: float(pids) if pids is not None else None,
        figure.PIDS_RATIO: pids / pids_max if pids is not None and pids_max is not None and pids_max > 0 else None,
        figure.RESTARTS: float(container.restart_count or 0),
    }
    return ResourcePulse(
        ref=ref_of(container, scope),
        source=SOURCE,
        timestamp=scope.sampled_at - (scope.at - stats.read),
        interval_s=interval_s,
        uid=container.id,
        cpu_percent=cpu_percent,
        memory_bytes=_memory(stats),
        memory_limit_bytes=memory_limit,
        network_rx_bytes=_rate(_network(old, "rx"), _network(stats, "rx"), seconds),
        network_tx_bytes=_rate(_network(old, "tx"), _network(stats, "tx"), seconds),
        custom={name: value for name, value in figures.items() if value is not None},
        unread=unread_of(cpu_percent=cpu_percent, memory_bytes=_memory(stats)),
    )


def _rate(before: float | None, now: float | None, seconds: float | None) -> float | None:
    """Per second; None without two readings, or when the counter was reset."""
    if before is None or now is None or seconds is None or seconds <= 0 or now < before:
        return None
    return (now - before) / seconds


def _cpu_ns(stats: Stats | None) -> float | None:
    return stats.cpu_stats.cpu_usage.total_usage if stats is not None else None


def _throttled(old: Stats | None, now: Stats) -> float | None:
    """The share of its periods in which the CPU limit was reached, since the sample before."""
    if old is None:
        return None
    before, after = old.cpu_stats.throttling_data, now.cpu_stats.throttling_data
    periods, throttled = after.periods - before.periods, after.throttled_periods - before.throttled_periods
    return throttled / periods if periods > 0 and throttled >= 0 else None


def _memory(stats: Stats) -> int | None:
    """Memory without the cache that the kernel frees on demand, as `docker stats` shows it."""
    memory = stats.memory_stats
    if memory.usage is None:
        return None
    cache = memory.stats.total_inactive_file
    if cache is None:
        cache = memory.stats.inactive_file or 0
    return max(memory.usage - cache, 0)


def _cache(stats: Stats) -> float | None:
    """Of `_memory`, what the kernel can still free before it kills: a database that reads its files keeps it full."""
    parts = stats.memory_stats.stats
    cache = parts.total_active_file if parts.total_active_file is not None else parts.active_file
    return float(cache) if cache is not None else None


def _network(stats: Stats | None, way: str) -> float | None:
    if stats is None or stats.networks is None:  # it uses the host's network, or another container's
        return None
    return sum(each.rx_bytes if way == "rx" else each.tx_bytes for each in stats.networks.values())


def _block(stats: Stats | None, operation: str) -> float | None:
    if stats is None:
        return None
    entries = stats.blkio_stats.io_service_bytes_recursive or ()
    return sum(each.value for each in entries if each.op.lower() == operation)
