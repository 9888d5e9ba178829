"""A price list, requests and usage → costs: what is not known is null, and parts add up to the whole."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from kgents_shared.contract.attestation import ATTESTED, Attestation
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_shared.view.cost.costing import Costs, Used, costs, used
from kgents_shared.view.cost.prices import GIB, PriceList, disk_price, rates
from kgents_shared.view.cost.summary import IDLE, cost_of, lines
from kgents_shared.view.entity import EntityView, Rows, key_of_ref

NOW = datetime(2026, 11, 2, tzinfo=UTC)
NODE = Ref("prod", "node", "n1")
CART = Ref("prod", "deployment", "cart", "shop")
LIST = PriceList(name="May", vcpu_hour=0.03, gib_hour=0.004, nodes={"big": 0.4}, disks={"gp3": 0.001})


def pod(name: str, cpu: float | None = None, gib: float | None = None, **fields: object) -> TopologyEntity:
    requested = {"kgents.k8s.pod.cpu.request": cpu, "kgents.k8s.pod.memory.request": gib * GIB if gib else None}
    connections = [ResolvedConnection("runs_on", NODE), ResolvedConnection("owns", CART, "in")]
    given_ = {key: value for key, value in requested.items() if value is not None}
    return TopologyEntity(
        "t", Ref("prod", "pod", name, "shop"), status="running", attributes=given_, connections=connections, **fields  # type: ignore[arg-type]
    )  # fmt: skip


def node(type_: str = "") -> TopologyEntity:
    capacity = {"kgents.k8s.node.cpu.capacity": 4.0, "kgents.k8s.node.memory.capacity": 16 * GIB}
    return TopologyEntity("t", NODE, attributes={**capacity, "host.type": type_})


def costed(
    *entities: TopologyEntity,
    usage: dict[Ref, Used] | None = None,
    prices: PriceList = LIST,
    attestation: Attestation = ATTESTED,
) -> Costs:
    views = [EntityView(key_of_ref(each.ref), Rows(encode(each)), attestation) for each in entities]
    return costs(views, usage or {}, prices)


def test_a_pod_costs_the_larger_of_request_and_usage_and_says_which() -> None:
    one = pod("a", cpu=1, gib=2)
    [item] = costed(one, node(), usage={one.ref: Used(cores=2, memory_bytes=GIB)}).items
    assert item.cost == pytest.approx(2 * 0.03 + 2 * 0.004)
    assert item.cpu is not None
    assert item.memory is not None
    assert (item.cpu.by, item.memory.by, item.price) == ("usage", "request", "vcpu_hour and gib_hour")
    assert item.workload == CART


def test_unknown_usage_is_null_and_what_depends_on_it_is_no_zero() -> None:
    bare = pod("a")
    found = costed(bare, pod("b", cpu=1, gib=1), node())
    line, idle = lines(found, "workload")
    assert (line.cost, line.unknown, line.cpu_used) == (None, 1, None)
    assert line.known == pytest.approx(0.034)
    assert (idle.name, idle.cost, idle.unknown) == (IDLE, None, 1)
    assert cost_of(found)[bare.ref] is None
    assert cost_of(found)[CART] is None
    requested = costed(pod("b", cpu=1, gib=1), node()).items[0]
    assert requested.cpu is not None
    assert (requested.cpu.used, requested.cpu.by) == (None, "request")


def test_without_a_price_there_is_no_cost() -> None:
    [item] = costed(pod("a", cpu=1, gib=1), node("unknown"), prices=PriceList(nodes={"big": 1.0})).items
    assert (item.cost, item.price) == (None, "")


def test_what_no_source_attests_has_no_cost() -> None:
    silent = Attestation({("prod", "k8s"): [Unread()]})
    found = costed(pod("a", cpu=1, gib=1, sources=["k8s"]), node(), attestation=silent)
    assert [each.cost for each in found.items] == [None]
    assert [each.idle for each in found.nodes] == [None]


def test_an_old_pulse_says_nothing_of_now() -> None:
    pulse = ResourcePulse(ref=CART, source="k8s", timestamp=NOW, interval_s=10, cpu_percent=150.0, memory_bytes=7)
    assert used(pulse, NOW + timedelta(seconds=30)) == Used(1.5, 7.0)
    assert used(pulse, NOW + timedelta(seconds=31)) == Used()


def test_a_disk_belongs_to_the_workload_that_alone_mounts_it() -> None:
    claim = Ref("prod", "volume", "data", "shop")
    size = 10 * GIB
    disk = TopologyEntity(
        "t", claim, attributes={"k8s.persistentvolumeclaim.storage.capacity": size, "k8s.storageclass.name": "gp3"}
    )
    mount = ResolvedConnection("volume", claim)
    one = TopologyEntity("t", CART, connections=[mount])
    [item] = costed(disk, one).items
    assert (item.workload, item.price) == (CART, "disk gp3")
    assert item.cost == pytest.approx(0.01)
    other = TopologyEntity("t", Ref("prod", "deployment", "web", "shop"), connections=[mount])
    [item] = costed(disk, one, other).items
    assert item.workload == claim
    assert disk_price(LIST, "other") == (None, "")


def test_what_has_ended_costs_nothing() -> None:
    ended = TopologyEntity("t", Ref("prod", "pod", "x", "shop"), status="succeeded", connections=pod("a").connections)
    assert costed(ended, node()).items == []


def test_a_price_list_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="vcpu_hour"):
        convert({"vcpu_hour": -1}, PriceList)
    with pytest.raises(ValueError, match="vcpu"):
        convert({"vcpu": 1}, PriceList)


AMOUNTS = st.floats(0.01, 100)


@given(AMOUNTS, AMOUNTS, AMOUNTS, st.none() | AMOUNTS, st.none() | AMOUNTS)
def test_a_node_costs_what_all_its_vcpus_and_memory_do(
    cores: float, gib: float, price: float, vcpu: float | None, memory: float | None
) -> None:
    found = rates(PriceList(vcpu_hour=vcpu, gib_hour=memory, nodes={"t": price}), "t", cores, gib)
    assert found.of(cores, gib) == pytest.approx(price)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=5), st.sampled_from(["big", ""]))
def test_pods_and_idle_add_up_to_the_nodes(requests: list[tuple[float, float]], type_: str) -> None:
    pods = [pod(str(place), cpu=cpu, gib=gib) for place, (cpu, gib) in enumerate(requests)]
    found = costed(*pods, node(type_))
    for by in ("workload", "namespace", "node", "cluster"):
        parts = [each.cost for each in lines(found, by)]
        assert sum(each for each in parts if each is not None) == pytest.approx(found.nodes[0].cost)
        assert None not in parts
