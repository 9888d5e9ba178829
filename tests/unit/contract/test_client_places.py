"""A NATS client as its server sees it, and the program that made the connection: joined where that is certain."""

from collections.abc import Iterable
from typing import Any

from msgspec import structs

from kgents_collector_host.mapping import History, Network, observe
from kgents_collector_host.mapping.client_ends import ENDS_MAX
from kgents_collector_host.sample import Machine, Process, Sample, Socket
from kgents_collector_nats.mapping.place import PLACES_MAX
from kgents_collector_nats.sample import Here
from kgents_shared.contract.entity import Entity, Ref
from kgents_topology_builder.graph import Graph
from support.build import NOW
from support.nats_samples import Raw, mapped, named, sample, single

SERVER = ("10.0.0.9", 4222)
ALWAYS_THERE = 7
"""Of a program that is in both polls."""


def programs(
    *ends: tuple[str, int], boot_id: str = "boot", network: int = 5, server: tuple[str, int] = SERVER, polls: int = 2
) -> list[Entity]:
    """What collector-host shows of a program with these ends of connections to a server."""
    sockets = tuple(Socket(end, server, inode=100 + number) for number, end in enumerate(ends))
    observed = Sample(
        NOW,
        1_000.0,
        Machine("web-1", boot_id=boot_id),
        addresses=("10.0.0.5",),
        processes=(Process(ALWAYS_THERE, "cart", 1, 100.0, 0, 0, "/"),),
        sockets=sockets,
        owners={each.inode: ALWAYS_THERE for each in sockets},
        network=network,
    )
    network_seen = Network()
    for _ in range(polls - 1):
        shown(observed, network_seen)
    return shown(observed, network_seen)


def shown(observed: Sample, network: Network) -> list[Entity]:
    bounds: dict[str, Any] = {"cluster": "test", "interval_s": 15, "max_processes": 9}
    return list(observe(None, observed, network, History(), **bounds, published={}).entities)


def connections(*ends: tuple[str, int]) -> Raw:
    """A server to which one client is connected so."""
    raw = single()
    connection = raw["connz"]["connections"][0]
    raw["connz"]["connections"] = [
        {**connection, "cid": 50 + number, "ip": host, "port": port} for number, (host, port) in enumerate(ends)
    ]
    return raw


def client(*ends: tuple[str, int], here: Here | None = None) -> Entity:
    now = sample(connections(*ends))
    return named(mapped(structs.replace(now, here=here or Here())), "nats_client", "shop/cart-1")


def place(of: Entity, others: Iterable[Entity]) -> list[Ref]:
    """Where topology-builder finds that a client runs."""
    graph = Graph()
    for each in (of, *others):
        graph.put(each)
    found = (graph.resolve(each, of.ref) for each in of.connections if each.kind == "runs_on")
    return sorted({each for each in found if each is not None})


CART = Ref("test", "process", "cart", "web-1")


def test_a_client_runs_where_its_connection_begins() -> None:
    end = ("10.0.0.5", 40_001)
    assert place(client(end), programs(end)) == [CART]
    assert place(client(("10.0.0.5", 40_002)), programs(end)) == [], "another program of that machine, or behind it"
    assert place(client(end), programs(end, polls=1)) == [], "a connection that was seen once may be over"
    assert place(client(end), programs(end, server=("10.0.0.9", 80))) == [], "not to a NATS server"


def test_a_client_runs_in_the_pod_or_container_that_has_its_address() -> None:
    pod = Entity(ref=Ref("test", "pod", "cart-7f", "shop"), source="k8s", status="running", addresses=["10.244.0.9"])
    assert place(client(("10.244.0.9", 40_001)), [pod, *programs(("10.0.0.5", 40_001))]) == [pod.ref]


def test_loopback_joins_what_shares_it_and_no_two_machines_or_containers() -> None:
    end, own = ("127.0.0.1", 40_001), ("127.0.0.1", 50_000)
    here = Here("boot", 5, own)
    found = client(end, own, here=here)
    assert place(found, programs(end)) == [CART]
    assert place(found, programs(end, boot_id="clone")) == [], "another machine, or another run of this one"
    assert place(found, programs(end, network=6)) == [], "another network namespace of the same machine"
    assert place(client(end, here=here), programs(end)) == [], "behind a forwarded port: it does not see us there"
    assert place(client(end, own, here=Here()), programs(end)) == []
    assert not any("loopback" in str(each.aliases) for each in programs(end, boot_id=""))


def test_neither_side_names_more_than_a_few_ends_and_each_machine_has_its_turn() -> None:
    ends = [("10.0.0.5", 40_000 + number) for number in range(30)]
    (program,) = (each for each in programs(*ends) if each.ref == CART)
    assert program.aliases == [f"10.0.0.5:{40_000 + number}" for number in range(ENDS_MAX)]
    spread = client(*ends, ("10.0.0.6", 1), ("10.0.0.7", 1))
    found = [each.peer for each in spread.connections if each.kind == "runs_on"]
    assert len(found) == PLACES_MAX
    assert {"10.0.0.6:1", "10.0.0.7:1"} < {*found}


def test_an_end_that_was_published_stays_at_a_restart() -> None:
    end = ("10.0.0.5", 40_001)
    sockets = (Socket(end, SERVER, inode=1),)
    processes = (Process(7, "cart", 1, 100.0, 0, 0, "/"),)
    network = Network(ends=[("cart", "10.0.0.5:40001")])
    observed = Sample(NOW, 1_000.0, Machine("web-1"), processes=processes, sockets=sockets, owners={1: 7})
    assert [each.aliases for each in shown(observed, network) if each.ref == CART] == [["10.0.0.5:40001"]]
