from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from kgents_collector_docker.answers import (
    BlockEntry,
    BlockStats,
    CpuStats,
    CpuUsage,
    HostConfig,
    MemoryParts,
    MemoryStats,
    PidsStats,
    Stats,
    Throttling,
    Traffic,
)
from kgents_collector_docker.mapping.pulse import (
    Effort,
    Sample,
    measured,
    of_container,
    of_engine,
    sample,
    without_figures,
)
from kgents_shared.contract.pulse import ResourcePulse
from support.docker_answers import AT, NEVER, make_container, make_inventory, make_scope, make_state
from support.vocabulary import only_declared


def stats(seconds: float, cpu_s: float = 0.0, **fields: Any) -> Stats:
    return Stats(AT + timedelta(seconds=seconds), CpuStats(CpuUsage(int(cpu_s * 1e9))), **fields)


def pulse(before: Stats | None, now: Stats, *, old_start: str = "t", **container: Any) -> ResourcePulse:
    inventory = make_inventory(web := make_container(**container))
    old = Sample(old_start, before) if before is not None else None
    found = of_container(old, Sample("t", now, took_s=2.5), web, inventory.info, make_scope(), interval_s=10)
    return only_declared([found])[0]


def test_the_interval_is_the_time_that_passes_where_an_engine_is_slow() -> None:
    assert pulse(stats(0), stats(10)).interval_s == 10
    assert pulse(stats(0), stats(31)).interval_s == 31
    first = of_container(
        None, Sample("t", stats(0), took_s=12), make_container(), make_inventory().info, make_scope(), interval_s=10
    )
    assert first.interval_s == 12


def test_samples_have_the_servers_time_however_wrong_the_engines_is() -> None:
    inventory = make_inventory(web := make_container())
    scope = make_scope(at=AT + timedelta(seconds=11), sampled_at=AT + timedelta(hours=2))
    found = of_container(None, Sample("t", stats(10), took_s=1), web, inventory.info, scope, interval_s=10)
    assert found.timestamp == scope.sampled_at - timedelta(seconds=1)
    assert of_engine([found], inventory, None, scope, interval_s=10).timestamp == scope.sampled_at


def test_what_does_not_run_any_more_or_was_never_inspected_has_no_figures() -> None:
    web = make_container()
    assert sample(Stats(NEVER), 0.1, web) is None
    inventory = make_inventory(web, db := make_container("db"), make_container("end", state=make_state("exited")))
    assert measured(structs.replace(inventory, uninspected=frozenset({db.id}))) == [web.id]
    assert without_figures(web, make_scope(), interval_s=10).unread == ["*"]


def test_cpu_is_what_was_used_since_the_sample_before() -> None:
    found = pulse(stats(0, 1), stats(10, 6), host_config=HostConfig(nano_cpus=1_000_000_000))
    assert found.cpu_percent == pytest.approx(50)
    assert found.custom["cpu_of_limit_percent"] == pytest.approx(50)
    assert found.custom["cpu_of_host_percent"] == pytest.approx(12.5)
    quota = pulse(stats(0, 1), stats(10, 6), host_config=HostConfig(cpu_quota=25_000, cpu_period=50_000))
    assert quota.custom["cpu_limit_percent"] == 50
    for pinned, quota_cores in (("0-3,7", 5.0), ("2", 1.0), ("0-3", 2.0)):
        limits = HostConfig(cpuset_cpus=pinned, nano_cpus=2_000_000_000 if quota_cores == 2 else 0)
        assert pulse(None, stats(0), host_config=limits).custom["cpu_limit_percent"] == 100 * quota_cores


def test_there_is_no_rate_without_a_sample_before_of_the_same_start() -> None:
    for found in (
        pulse(None, stats(10, 6)),
        pulse(stats(0, 1), stats(10, 6), old_start="u"),
        pulse(stats(0, 9), stats(10, 6)),
    ):
        assert found.cpu_percent is None
    unlimited = pulse(stats(0, 1), stats(10, 6)).custom
    assert "cpu_limit_percent" not in unlimited
    assert "cpu_of_limit_percent" not in unlimited


@pytest.mark.parametrize("parts", [MemoryParts(total_inactive_file=30, inactive_file=1), MemoryParts(inactive_file=30)])
def test_memory_is_without_cache_with_both_versions_of_cgroups(parts: MemoryParts) -> None:
    found = pulse(None, stats(0, memory_stats=MemoryStats(100, parts)), host_config=HostConfig(memory=200))
    assert (found.memory_bytes, found.memory_limit_bytes) == (70, 200)
    assert pulse(None, stats(0)).memory_bytes is None
    assert pulse(None, stats(0), host_config=HostConfig(memory=8 * 1024**3)).memory_limit_bytes is None


def test_files_that_are_cached_and_in_use_are_counted_apart() -> None:
    """A database that reads its files again and again fills its limit with them, and is not near an OOM kill."""
    for parts in (MemoryParts(total_active_file=60, active_file=1), MemoryParts(active_file=60)):
        found = pulse(None, stats(0, memory_stats=MemoryStats(100, parts)), host_config=HostConfig(memory=100))
        assert (found.memory_bytes, found.custom["memory_cache_bytes"]) == (100, 60)
    assert pulse(None, stats(0, memory_stats=MemoryStats(100, MemoryParts(inactive_file=101)))).memory_bytes == 0


def test_traffic_and_blocks_are_rates_over_all_devices() -> None:
    def at(seconds: float, factor: int) -> Stats:
        block = [BlockEntry("Read", 10 * factor), BlockEntry("read", factor), BlockEntry("Write", 5 * factor)]
        traffic = {"eth0": Traffic(100 * factor, 10 * factor), "eth1": Traffic(100 * factor, 0)}
        throttled = CpuStats(throttling_data=Throttling(10 * factor, 5 * factor))
        return Stats(
            AT + timedelta(seconds=seconds), throttled, networks=traffic, blkio_stats=BlockStats(block),
            pids_stats=PidsStats(3),
        )  # fmt: skip

    found = pulse(at(0, 1), at(10, 2), host_config=HostConfig(pids_limit=6))
    assert (found.network_rx_bytes, found.network_tx_bytes) == (20, 1)
    assert found.custom["block_read_bytes_per_sec"] == pytest.approx(1.1)
    assert found.custom["block_write_bytes_per_sec"] == pytest.approx(0.5)
    assert found.custom["cpu_throttled_ratio"] == 0.5
    assert (found.custom["pids"], found.custom["pids_ratio"]) == (3, 0.5)
    assert pulse(stats(0), stats(10)).network_rx_bytes is None  # it uses the host's network


def test_a_sum_of_which_a_part_is_not_known_is_not_known() -> None:
    def sums(*found: ResourcePulse | None) -> set[float | None]:
        custom = of_engine(found, make_inventory(make_container()), None, make_scope(), interval_s=10).custom
        return {custom["containers_cpu_percent"], custom["containers_memory_bytes"]}

    known = pulse(stats(0, 1), stats(10, 6, memory_stats=MemoryStats(50)))
    assert sums(known, known) == {100}
    assert sums(known, None) == sums() == {None}


def test_the_engine_tells_what_watching_it_costs() -> None:
    effort = Effort(seconds=10, requests=20, bytes=5000, busy_s=5, engine_cpu_s=0.2, failed=1)
    found = of_engine([], make_inventory(make_container()), effort, make_scope(), interval_s=10)
    assert found.custom == {
        "containers": 1, "containers_running": 1, "containers_paused": 0, "containers_cpu_percent": None,
        "containers_memory_bytes": None, "engine_cpu_percent": 2, "observer_requests_per_sec": 2,
        "observer_bytes_per_sec": 500, "observer_waiting_ratio": 0.5, "observer_failed_samples": 1,
    }  # fmt: skip
