"""Samples of a machine → its entities, their figures, and their connections."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import structs

from kgents_collector_host import proc
from kgents_collector_host.mapping import History, Network, observe
from kgents_collector_host.mapping.network import EVIDENCE, KEPT_S, PEERS_MAX, published_pairs
from kgents_collector_host.sample import (
    FileSystem,
    Group,
    KernelClock,
    Machine,
    Process,
    Sample,
    Socket,
    Space,
    Unit,
    Victim,
)
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import ResourcePulse

MACHINE = Machine("web-1", id="ab" * 16, boot_id="boot", cpus=2)
START = datetime(2026, 1, 1, tzinfo=UTC)
WILDCARD = "0.0.0.0"  # noqa: S104 - what a socket says
LISTENING = (WILDCARD, 0)
NGINX = "/system.slice/nginx.service"


def process(
    pid: int, command: str, cgroup: str = "/", *, cpu_s: float = 1.0, started_s: float = 100.0, **more: Any
) -> Process:
    return Process(pid, command, int(started_s * 100), started_s, cpu_s, 1_000_000, cgroup, **more)


def sample(number: int = 0, *processes: Process, **fields: Any) -> Sample:
    at = START + timedelta(seconds=10 * number)
    return Sample(at, 1000.0 + 10 * number, MACHINE, processes=processes, addresses=("10.0.0.5",), **fields)


def seen(
    *samples: Sample, limit: int = 100, network: Network | None = None, published: list[Entity] | None = None
) -> Facts:
    """The last sample, after the others."""
    network, history = network or Network(), History()
    before, facts = None, Facts()
    known = {each.ref: each for each in published or []}
    for each in samples:
        facts = observe(
            before, each, network, history, cluster="c", interval_s=10, max_processes=limit, published=known
        )
        known, before = {entity.ref: entity for entity in facts.entities}, each
    return facts


def named(facts: Facts, kind: str, name: str) -> Entity:
    return next(each for each in facts.entities if (each.ref.kind, each.ref.name) == (kind, name))


def names(facts: Facts, kind: str) -> set[str]:
    return {each.ref.name for each in facts.entities if each.ref.kind == kind}


def pulse(facts: Facts, kind: str, name: str) -> ResourcePulse:
    found = next(each for each in facts.pulses if (each.ref.kind, each.ref.name) == (kind, name))
    assert isinstance(found, ResourcePulse)
    return found


def peers(facts: Facts, name: str) -> list[Ref | str]:
    return [each.peer for each in named(facts, "process", name).connections if each.evidence == EVIDENCE]


def test_a_program_uses_nothing_while_all_of_it_sleeps_and_the_same_as_ever_once_one_has_run() -> None:
    asleep, first = process(1, "nginx", NGINX), process(2, "nginx", NGINX)
    later = structs.replace(first, cpu_s=2.0, rss_bytes=3_000_000, files=80, files_max=100)
    samples = [sample(0, asleep, first), sample(1, asleep, first), sample(2, asleep, later), sample(3, asleep)]
    found = [pulse(seen(*samples[:count]), "process", "nginx.service/nginx") for count in (2, 3, 4)]
    assert [each.cpu_percent for each in found] == [0.0, 10.0, 0.0]
    assert [each.memory_bytes for each in found] == [2_000_000, 4_000_000, 1_000_000]
    assert [each.custom.get("open_files_ratio") for each in found] == [None, 0.8, None]
    assert [each.custom["processes"] for each in found] == [2.0, 2.0, 1.0]


def test_the_first_sample_knows_no_rate_and_says_so() -> None:
    first = pulse(seen(sample(0, process(1, "init"), cpu=proc.CpuTime(100, 300))), "host", "web-1")
    assert first.cpu_percent is None
    assert "cpu_percent" in first.unread


def test_a_machine_without_a_sensor_has_no_temperature() -> None:
    assert "temperature_celsius" not in pulse(seen(sample(0)), "host", "web-1").custom
    assert pulse(seen(sample(0, celsius=61.5)), "host", "web-1").custom["temperature_celsius"] == 61.5


def test_two_samples_give_rates() -> None:
    facts = seen(
        sample(0, process(1, "init"), cpu=proc.CpuTime(100, 300), interfaces=(proc.Interface("eth0", 1000, 50),)),
        sample(
            1,
            process(1, "init", cpu_s=6.0),
            cpu=proc.CpuTime(600, 1800),
            interfaces=(proc.Interface("eth0", 6000, 50),),
        ),
    )
    found = pulse(facts, "host", "web-1")
    assert (found.cpu_percent, found.network_rx_bytes, found.network_tx_bytes) == (50.0, 500.0, 0.0)
    assert pulse(facts, "process", "init").cpu_percent == 50.0


def test_a_counter_that_was_set_back_makes_no_figure() -> None:
    facts = seen(
        sample(0, process(1, "init"), cpu=proc.CpuTime(100, 300), interfaces=(proc.Interface("eth0", 1000, 50),)),
        sample(1, process(1, "init"), cpu=proc.CpuTime(90, 400), interfaces=(proc.Interface("eth0", 10, 60),)),
    )
    found = pulse(facts, "host", "web-1")
    assert (found.cpu_percent, found.network_rx_bytes, found.network_tx_bytes) == (None, None, 1.0)
    assert {"cpu_percent", "network_rx_bytes"} <= {*found.unread}


def test_processes_of_one_command_in_one_place_are_one_program() -> None:
    facts = seen(
        sample(
            0, process(1, "nginx", NGINX), process(2, "nginx", NGINX), process(3, "nginx"), process(4, "nginx: worker")
        )
    )
    assert names(facts, "process") == {"nginx.service/nginx", "nginx"}
    assert pulse(facts, "process", "nginx.service/nginx").custom["processes"] == 2
    assert names(facts, "unit") == {"nginx.service"}
    assert [str(each.peer) for each in named(facts, "process", "nginx.service/nginx").connections] == [
        "host web-1",
        "unit web-1/nginx.service",
    ]


def test_what_began_a_moment_ago_is_not_shown_yet() -> None:
    facts = seen(sample(0, process(1, "init"), process(9, "grep", started_s=999.0)))
    assert names(facts, "process") == {"init"}


def test_a_unit_uses_what_its_control_group_says_and_not_the_sum_of_those_that_live() -> None:
    facts = seen(
        sample(0, process(1, "sh", NGINX), groups={NGINX: Group(cpu_s=10.0, memory_bytes=5)}),
        sample(1, process(1, "sh", NGINX), groups={NGINX: Group(cpu_s=20.0, memory_bytes=7, memory_limit_bytes=9)}),
    )
    found = pulse(facts, "unit", "nginx.service")
    assert (found.cpu_percent, found.memory_bytes, found.memory_limit_bytes) == (100.0, 7, 9)
    assert pulse(facts, "process", "nginx.service/sh").cpu_percent == 0.0


def test_of_too_many_programs_those_stay_that_are_shown() -> None:
    first = sample(0, *(process(pid, f"p{pid}") for pid in range(1, 4)))
    larger = structs.replace(process(9, "p9"), rss_bytes=10**9)
    facts = seen(first, sample(1, *(first.processes or ()), larger), limit=3)
    assert names(facts, "process") == {"p1", "p2", "p3", "overflow"}
    assert pulse(facts, "process", "overflow").custom == {"entities_left_out": 1.0}


def test_hidden_processes_are_unread_and_not_gone() -> None:
    hidden = structs.replace(sample(1), processes=None, faults=("hidden",))
    assert {each.kind for each in seen(sample(0, process(1, "init")), hidden).unread} == {"process", "unit"}


def test_both_ends_of_a_connection_are_one_edge_of_the_one_that_made_it() -> None:
    sockets = (
        Socket((WILDCARD, 80), LISTENING, inode=1),
        Socket(("10.0.0.5", 80), ("10.0.0.5", 40_000), inode=2),
        Socket(("10.0.0.5", 40_000), ("10.0.0.5", 80), inode=3),
    )
    programs = process(1, "nginx"), process(2, "curl")
    owners = {1: 1}, {1: 1, 2: 1, 3: 2}  # whose a connection is, is looked for once it has lasted
    samples = [sample(number, *programs, sockets=sockets, owners=owners[number]) for number in range(2)]
    assert peers(seen(samples[0]), "curl") == []
    facts = seen(*samples)
    assert peers(facts, "curl") == [Ref("c", "process", "nginx", "web-1")]
    assert peers(facts, "nginx") == []
    assert named(facts, "process", "nginx").addresses == ["10.0.0.5:80"]


def test_what_listens_on_this_machine_alone_claims_no_address() -> None:
    sockets = (Socket(("127.0.0.1", 80), LISTENING, inode=1),)
    assert named(seen(sample(0, process(1, "a"), sockets=sockets, owners={1: 1})), "process", "a").addresses == []


def test_a_socket_of_another_user_belongs_to_the_only_program_of_its_control_group() -> None:
    socket = Socket(("10.0.0.5", 40_000), ("10.0.0.9", 5432), inode=7, cgroup_id=12)
    alone = [sample(number, process(1, "app", NGINX), sockets=(socket,), cgroup_ids={12: NGINX}) for number in range(2)]
    assert peers(seen(*alone), "nginx.service/app") == ["10.0.0.9:5432"]
    together = [structs.replace(each, processes=(*(each.processes or ()), process(2, "sh", NGINX))) for each in alone]
    assert peers(seen(*together), "nginx.service/app") == []


def test_a_connection_that_ended_is_shown_for_a_while_also_over_a_restart() -> None:
    socket = Socket(("10.0.0.5", 40_000), ("10.0.0.9", 5432), inode=7)
    both = [sample(number, process(1, "app"), sockets=(socket,), owners={7: 1}) for number in range(2)]
    published = seen(*both).entities
    again = Network(published_pairs({each.ref.name: each.connections for each in published}))
    later = [sample(number, process(1, "app"), sockets=()) for number in (2, 3 + int(KEPT_S / 10))]
    assert peers(seen(later[0], network=again), "app") == ["10.0.0.9:5432"]
    assert peers(seen(*later, network=again), "app") == []


def test_a_program_with_very_many_peers_names_some() -> None:
    sockets = tuple(Socket(("10.0.0.5", 40_000), ("10.0.1.9", port), inode=port) for port in range(1, PEERS_MAX + 50))
    samples = [
        sample(number, process(1, "browser"), sockets=sockets, owners={each.inode: 1 for each in sockets})
        for number in range(2)
    ]
    assert len(peers(seen(*samples), "browser")) == PEERS_MAX


HALF = Space(100, 50, 50)


def disk(*, is_read_only: bool = False, space: Space | None = HALF) -> FileSystem:
    return FileSystem(proc.Mount("8:1", "/", "/data", "ext4", "/dev/sdb1", is_read_only), space, START)


def test_a_file_system_that_became_read_only_has_failed_until_it_can_be_written_again() -> None:
    writable, read_only = (sample(n, file_systems=(disk(is_read_only=flag),)) for n, flag in enumerate((False, True)))
    assert named(seen(read_only), "filesystem", "/data").status == "running"
    failed = named(seen(writable, read_only, read_only), "filesystem", "/data")
    assert (failed.status, failed.reason) == ("failed", "ReadOnly")
    assert named(seen(writable, read_only, writable), "filesystem", "/data").status == "running"


def test_a_file_system_that_does_not_answer_is_unknown_and_its_figures_too() -> None:
    facts = seen(sample(0, file_systems=(disk(space=None),)))
    found = named(facts, "filesystem", "/data")
    assert (found.status, found.reason) == ("unknown", "NotResponding")
    assert pulse(facts, "filesystem", "/data").custom["used_ratio"] is None


def transfers(
    *disks: proc.Disk | None, name: str = "8:1", boot_ids: tuple[str, ...] = ("boot", "boot")
) -> list[float | str | None]:
    """What a file system on a device reads and writes a second, and how long a transfer takes; `-`: it has no such."""
    samples = [
        structs.replace(
            sample(n, file_systems=(disk(),), disks={name: each} if each is not None else {}),
            machine=structs.replace(MACHINE, boot_id=boot_id),
        )
        for n, (each, boot_id) in enumerate(zip(disks, boot_ids, strict=False))
    ]
    found = pulse(seen(*samples), "filesystem", "/data").custom
    return [found.get(f"disk_{each}", "-") for each in ("read_bytes_per_sec", "written_bytes_per_sec", "transfer_s")]


def test_the_device_of_a_file_system_says_what_is_read_and_written_and_how_long_that_takes() -> None:
    first, later = proc.Disk(1_000, 0, 10, 1.0), proc.Disk(6_000, 500, 60, 2.0)
    assert transfers(first, later) == transfers(first, later, name="sdb1") == [500, 50, 0.02]
    assert transfers(first, first) == [0, 0, "-"], "what took no time is no zero"
    assert transfers(first) == transfers(later, first) == [None, None, None], "set back, as with a device that is new"
    assert transfers(first, later, boot_ids=("boot", "next")) == [None, None, None]
    assert transfers(first, None) == transfers(None, None) == ["-", "-", "-"], "in memory, or elsewhere"


def test_kills_for_memory_count_for_ten_minutes() -> None:
    kills = [sample(n, oom_kills=5 + (n >= 2)) for n in range(65)]
    counts = [pulse(seen(*kills[: n + 1]), "host", "web-1").custom["oom_kills_recent"] for n in (1, 2, 60, 64)]
    assert counts == [0, 1, 1, 0]


def test_nothing_of_an_unchanged_machine_changes() -> None:
    sockets = (Socket(("10.0.0.5", 40_000), ("10.0.0.9", 5432), inode=7),)
    same = [sample(n, process(1, "app"), sockets=sockets, owners={7: 1}, file_systems=(disk(),)) for n in range(5)]
    assert seen(*same).entities == seen(*same[:2]).entities


KEPT, UNKEPT = KernelClock(0.02, 0.001), KernelClock(16.0, 16.0)


def clock_of(facts: Facts) -> tuple[object, ...]:
    """Whether it is kept, for how long it is not, its greatest and its estimated error."""
    found = pulse(facts, "host", "web-1").custom
    kept = named(facts, "host", "web-1").attributes["kgents.host.clock_synchronized"]
    return kept, found["clock_unsynchronized_s"], found["clock_max_error_s"], found.get("clock_estimated_error_s")


def test_a_clock_that_nothing_keeps_says_so_until_something_does_and_one_that_cannot_be_read_is_unknown() -> None:
    given = (KEPT, UNKEPT, UNKEPT, None, UNKEPT, KEPT, UNKEPT, KernelClock(0.02, 0.0))
    samples = [sample(n, clock=each) for n, each in enumerate(given)]
    assert [clock_of(seen(*samples[: n + 1])) for n in range(len(samples))] == [
        (True, 0.0, 0.02, 0.001),
        (False, 0.0, 16.0, None),
        (False, 10.0, 16.0, None),
        (None, None, None, None),
        (False, 30.0, 16.0, None),
        (True, 0.0, 0.02, 0.001),
        (False, 0.0, 16.0, None),
        (True, 0.0, 0.02, None),  # what keeps it does not say
    ]


def test_for_how_long_nothing_kept_the_clock_is_remembered_over_a_restart_of_the_collector() -> None:
    published = seen(*(sample(n, clock=UNKEPT) for n in range(3))).entities
    again = seen(sample(7, clock=UNKEPT), published=published)
    assert (clock_of(again)[1], again.entities) == (70.0, published)
    other = structs.replace(sample(7, clock=UNKEPT), machine=structs.replace(MACHINE, boot_id="another"))
    assert clock_of(seen(other, published=published))[1] == 0.0


def test_a_kill_for_memory_is_an_event_and_one_before_the_start_is_none() -> None:
    kills = [sample(n, oom_kills=count) for n, count in enumerate((5, 5, 7))]
    assert [list(seen(*kills[:n]).events) for n in (1, 2)] == [[], []]
    (found,) = seen(*kills).events
    assert (found.reason, found.count, found.id) == ("OOM", 2, "boot:oom:7")


def test_a_machine_that_was_started_again_says_so_also_to_a_collector_that_was() -> None:
    published = seen(sample(0)).entities
    later = structs.replace(sample(9), machine=structs.replace(MACHINE, boot_id="next"))
    (found,) = seen(later, published=published).events
    assert (found.reason, found.uid) == ("Restarted", "next")
    assert list(seen(later).events) == []


def test_space_that_was_read_once_is_one_sample_however_often_it_is_sent() -> None:
    pulses = [pulse(seen(sample(n, file_systems=(disk(),))), "filesystem", "/data") for n in range(3)]
    assert {each.read_at["used_ratio"] for each in pulses} == {START}
    assert len({each.timestamp for each in pulses}) == 3


POD = "/kubepods.slice/cri-containerd-" + "ab" * 32 + ".scope"
DATABASE = "/docker/" + "cd" * 32


def test_a_connection_between_two_network_namespaces_is_one_between_their_programs() -> None:
    sockets = (
        Socket((WILDCARD, 5432), LISTENING, inode=1, namespace=7, cgroup=DATABASE),
        Socket(("172.17.0.2", 5432), ("172.17.0.3", 40_000), inode=2, namespace=7, cgroup=DATABASE),
        Socket(("172.17.0.3", 40_000), ("172.17.0.2", 5432), inode=3, namespace=8, cgroup=POD),
        Socket(("172.17.0.1", 41_000), ("172.17.0.2", 5432), inode=4),
    )
    programs = process(1, "postgres", DATABASE), process(2, "app", POD), process(3, "psql")
    fields = {"sockets": sockets, "owners": {4: 3}, "namespaces": {7: ("172.17.0.2",), 8: ("172.17.0.3",)}}
    facts = seen(*(sample(number, *programs, **fields) for number in range(2)))
    database = Ref("c", "process", "cdcdcdcdcdcd/postgres", "web-1")
    assert peers(facts, "abababababab/app") == [database]
    assert peers(facts, "psql") == [database]
    assert peers(facts, "cdcdcdcdcdcd/postgres") == []
    assert named(facts, "process", database.name).addresses == [], "other machines have the same address"


def test_the_loopback_of_a_network_namespace_is_its_own() -> None:
    sockets = (
        Socket(("127.0.0.1", 6379), LISTENING, inode=1),
        Socket(("127.0.0.1", 6379), LISTENING, inode=2, namespace=7, cgroup=POD),
        Socket(("127.0.0.1", 40_000), ("127.0.0.1", 6379), inode=3, namespace=7),
    )
    programs = process(1, "redis"), process(2, "cache", POD), process(3, "app", POD)
    fields = {"sockets": sockets, "owners": {1: 1, 2: 2, 3: 3}, "namespaces": {7: ("10.244.0.9",)}}
    facts = seen(*(sample(number, *programs, **fields) for number in range(2)))
    assert peers(facts, "abababababab/app") == [Ref("c", "process", "abababababab/cache", "web-1")]
    assert peers(facts, "redis") == []


def test_the_same_loopback_address_on_two_machines_joins_nothing() -> None:
    """What one claims and the other is connected to would be the same `127.0.0.1:5432`."""
    sockets = (
        Socket(("127.0.0.1", 5432), LISTENING, inode=1),
        Socket(("::1", 5432), LISTENING, inode=1),
        Socket(("fe80::1", 5432), LISTENING, inode=1),
    )
    calling = (Socket(("127.0.0.1", 40_000), ("127.0.0.1", 5432), inode=2),)
    claims = seen(*(sample(n, process(1, "postgres"), sockets=sockets, owners={1: 1}) for n in range(2)))
    calls = seen(*(sample(n, process(2, "psql"), sockets=calling, owners={2: 2}) for n in range(2)))
    assert not [each for entity in claims.entities for each in (*entity.addresses, *entity.aliases) if "5432" in each]
    assert peers(calls, "psql") == []


def test_kills_and_restarts_are_remembered_over_a_restart_of_the_collector() -> None:
    unit = Unit("shop.service", "active", "running", restarts=0, cgroup=NGINX)

    def at(number: int) -> Sample:
        restarts = 4 if number >= 2 else 0
        units = (structs.replace(unit, restarts=restarts),)
        return sample(number, process(1, "app", NGINX), oom_kills=5 + (number >= 2), units=units)

    def state(facts: Facts) -> tuple[object, ...]:
        shop = pulse(facts, "unit", "shop.service").custom["unit_restarts_recent"]
        return pulse(facts, "host", "web-1").custom["oom_kills_recent"], shop, named(facts, "unit", "shop.service")

    published = seen(*map(at, range(4)))
    assert state(published)[:2] == (1, 4)
    again = seen(at(5), published=published.entities)
    assert state(again)[:2] == (1, 3), "as often as its reason says"
    assert again.entities == published.entities
    later = seen(at(5), at(63), published=published.entities)
    assert state(later)[:2] == (0, 0)
    other = structs.replace(at(5), machine=structs.replace(MACHINE, boot_id="another"))
    assert state(seen(other, published=published.entities))[:2] == (0, 0)


def test_what_was_killed_for_memory_is_said_by_name_as_far_as_it_is_known() -> None:
    def text(*victims: Victim, count: int = 1) -> str:
        before = sample(0, oom_kills=1)
        (event,) = seen(before, sample(1, oom_kills=1 + count, victims=victims)).events
        return event.text

    assert text() == "The kernel of host web-1 killed a process for memory."
    assert text(Victim("python", NGINX)) == "The kernel of host web-1 killed python of nginx.service for memory."
    assert text(Victim("redis-server", DATABASE), Victim("a b", "/"), count=4) == (
        "The kernel of host web-1 killed redis-server of container cdcdcdcdcdcd, a and 2 more for memory."
    )


def test_sockets_and_addresses_of_a_namespace_are_read_in_their_usual_form() -> None:
    """As a little-endian machine writes them; the test runs on none other."""
    tcp = b"""  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1
   1: 0200A8C0:9C40 0900A8C0:01BB 01 00000000:00000000 00:00000000 00000000     0        0 4712 1
   2: 0200A8C0:9C41 0900A8C0:01BB 06 00000000:00000000 00:00000000 00000000     0        0 0 1
"""
    assert [*proc.sockets(tcp)] == [
        (("127.0.0.1", 5432), ("0.0.0.0", 0), 4711),  # noqa: S104 - what the file says
        (("192.168.0.2", 40_000), ("192.168.0.9", 443), 4712),
    ]
    mapped = tcp.replace(b"0100007F", b"0000000000000000FFFF00000100007F").replace(
        b"00000000:0000", b"0" * 32 + b":0000"
    )
    assert next(proc.sockets(mapped)) == (("127.0.0.1", 5432), ("::", 0), 4711)
    trie = (
        b"Local:\n  |-- 127.0.0.1\n     /32 host LOCAL\n  |-- 172.17.0.2\n     /32 host LOCAL\n"
        b"  |-- 172.17.255.255\n     /32 link BROADCAST\n"
    )
    assert [*proc.addresses(trie)] == ["172.17.0.2"]
    interfaces = (
        b"fd00000000000000000000000000abcd 02 40 00 80 eth0\nfe80000000000000000000000000abcd 02 40 20 80 eth0\n"
    )
    assert [*proc.addresses_6(interfaces)] == ["fd00::abcd"]


def test_of_the_kernels_log_only_who_was_killed_is_kept() -> None:
    record = (
        b"6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,"
        b"task_memcg=/system.slice/shop.service,task=python3,pid=42,uid=0\n"
    )
    assert proc.killed(record) == ("python3", "/system.slice/shop.service")
    assert proc.killed(b"6,1,2,-;Memory cgroup out of memory: Killed process 42 (python3)\n") is None
