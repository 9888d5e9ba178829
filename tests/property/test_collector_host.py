"""Laws of collector-host: what the kernel's files say is read whatever they say; connections; forecasts."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from kgents_collector_host import proc
from kgents_collector_host.mapping.history import History
from kgents_collector_host.mapping.program import Program, programs
from kgents_collector_host.mapping.scope import per_second
from kgents_collector_host.mounts import chosen
from kgents_collector_host.place import place_of
from kgents_collector_host.sample import FileSystem, Machine, Process, Sample, Space

pytestmark = pytest.mark.property
PARSERS = (
    proc.stat, proc.cgroup, proc.table, proc.cpu_time, proc.pressure, proc.load,
    proc.disks, proc.oom_kills, proc.forks,
    lambda content: [*proc.interfaces(content)],
    lambda content: [*proc.mounts(content)], proc.open_files, proc.files_limit,
    lambda content: [*proc.sockets(content), *proc.addresses(content), *proc.addresses_6(content)], proc.killed,
)  # fmt: skip
MACHINE = Machine("web-1", boot_id="boot", cpus=2)
DISK = proc.Mount("8:1", "/", "/", "ext4", "/dev/sda1", is_read_only=False)


@given(st.binary(max_size=400) | st.text("(): \n-0123456789 total=cpu/", max_size=400).map(str.encode))
def test_no_content_of_a_file_is_a_failure(content: bytes) -> None:
    for parse in PARSERS:
        parse(content)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=15), st.integers(0, 1 << 40))
def test_a_command_may_hold_what_it_wants(command: str, ticks: int) -> None:
    fields = ["S", *["1"] * 10, str(ticks), "2", *["0"] * 6, "77", "0", "5"]
    found = proc.stat(f"42 ({command}) {' '.join(fields)}\n".encode())
    assert found is not None
    assert (found.command, found.state, found.cpu_ticks, found.start_ticks) == (command, "S", ticks + 2, 77)
    assert (found.rss_pages, found.is_kernel) == (5, False)


@given(st.text(max_size=200))
def test_every_path_of_a_control_group_is_some_place(path: str) -> None:
    found = place_of(path)
    assert not (found.unit and found.container_id)


@given(
    st.lists(st.tuples(st.sampled_from(["8:1", "8:2", "0:9"]), st.sampled_from(["/", "/sub"]), st.sampled_from("abc")))
)
def test_a_file_system_is_one_however_often_it_is_mounted(given_mounts: list[tuple[str, str, str]]) -> None:
    found = [
        proc.Mount(device, root, f"/{point}", "ext4", f"/dev/{device}", is_read_only=False)
        for device, root, point in given_mounts
    ]
    shown = chosen(found)
    on_top = {each.point: each.device for each in found}
    assert sorted(each.device for each in shown) == sorted(set(on_top.values()))


@given(st.floats(0, 1e15), st.floats(0, 1e15), st.floats(-10, 1e6))
def test_a_rate_is_never_negative(before: float, now: float, elapsed_s: float) -> None:
    found = per_second(before, now, elapsed_s)
    assert found is None or found >= 0


def used(time_s: float, used_bytes: int) -> Sample:
    space = Space(10**12, used_bytes, 10**12 - used_bytes)
    return Sample(datetime.now(UTC), time_s, MACHINE, file_systems=(FileSystem(DISK, space, datetime.now(UTC)),))


@given(st.integers(1, 10**9), st.integers(0, 10**6))
def test_what_grows_evenly_is_full_when_it_is(bytes_a_minute: int, at_s: int) -> None:
    history = History()
    for minute in range(61):
        history.take(used(at_s + 60 * minute, bytes_a_minute * minute))
    found = history.full_in_s("/", 1000 * bytes_a_minute)
    assert found == pytest.approx(60 * 1000)


@given(st.lists(st.integers(0, 10**11), min_size=61, max_size=61).map(lambda sizes: sorted(sizes, reverse=True)))
def test_what_shrinks_is_never_full(sizes: list[int]) -> None:
    history = History()
    for minute, size in enumerate(sizes):
        history.take(used(60 * minute, size))
    assert history.full_in_s("/", 1) is None


PROCESS = st.builds(
    Process,
    pid=st.integers(1, 6),
    command=st.sampled_from(["a", "b"]),
    start_ticks=st.integers(1, 2),
    started_s=st.just(1.0),
    cpu_s=st.integers(0, 2),
    rss_bytes=st.integers(0, 2),
    cgroup=st.sampled_from(["/", "/system.slice/a.service"]),
)
TABLE = st.lists(PROCESS, unique_by=lambda each: each.pid, max_size=6)


@given(TABLE, st.lists(TABLE | st.sets(st.integers(0, 5)), max_size=5))
def test_programs_are_the_same_whatever_was_known_before(
    first: list[Process], then: list[list[Process] | set[int]]
) -> None:
    before: list[Process] = []
    known: dict[str, Program] = {}
    now = first
    for each in [first, *then]:  # a new table, or which processes of the last one have run
        if isinstance(each, set):
            now = [structs.replace(one, cpu_s=one.cpu_s + 1) if n in each else one for n, one in enumerate(now)]
        else:
            now = each
        known, before = programs(now, before, known), now
        assert known == programs(now, (), {})
