"""What things cost, over HTTP: by which prices and which usage; null where that is not known."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.view.entity import key_of_ref
from support.build import make_ref
from support.gateway import Running, caught_up, serving
from support.state import edge, make_topology, publish
from support.waiting import eventually

GIB = 1024**3
NODE, CART = Ref("local", "node", "n1"), Ref("local", "deployment", "cart", "shop")
PRICES = "{name: May, currency: EUR, vcpu_hour: 0.03, gib_hour: 0.004, nodes: {big: 0.4}}"


async def shop(bus: Bus, *, cpu_percent: float | None) -> None:
    """A pod of a deployment on a node of four vCPUs, which requests one of them and 2 GiB, and what it uses."""
    capacity = {"kgents.k8s.node.cpu.capacity": 4.0, "kgents.k8s.node.memory.capacity": 16 * GIB, "host.type": "big"}
    requests = {"kgents.k8s.pod.cpu.request": 1.0, "kgents.k8s.pod.memory.request": 2 * GIB}
    await publish(
        bus,
        make_topology(ref=NODE, attributes=capacity),
        make_topology(ref=CART),
        make_topology("cart-1", attributes=requests, connections=[edge("runs_on", NODE), edge("owns", CART, "in")]),
        make_topology("bare-1", connections=[edge("runs_on", NODE)]),
    )
    pulse = ResourcePulse(
        ref=make_ref("cart-1"), source="k8s", timestamp=datetime.now(UTC), interval_s=30.0, cpu_percent=cpu_percent,
        memory_bytes=GIB,
    )  # fmt: skip
    session = await bus.session()
    await session.request(pulse.ref.subject("pulse", source="k8s"), encode(pulse))


async def test_what_is_charged_names_its_prices_and_its_usage(bus: Bus, tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES)
    async with serving(bus, prices_file=str(tmp_path / "prices.yaml")) as gateway:
        await shop(bus, cpu_percent=200.0)
        await caught_up(bus, gateway)

        async def line() -> dict[str, object]:
            answer = await gateway.get("/api/v1/cost", namespaces="shop")
            return next((each for each in answer["costs"] if each["id"] == key_of_ref(CART)), {})

        await eventually(line)
        found = await line()
        # The node's price is divided as the prices of its 4 vCPUs and 16 GiB would be: 0.12 and 0.064.
        of_vcpu, of_gib = 0.4 * 0.12 / 0.184 / 4, 0.4 * 0.064 / 0.184 / 16
        assert found["per_hour"] == pytest.approx(2 * of_vcpu + 2 * of_gib)
        assert (found["cpu"], found["cpu_used"], found["memory_gib"], found["memory_used_gib"]) == (2, 2, 2, 1)
        assert (found["charged_by"], found["prices"]) == (["request", "usage"], ["node big"])

        whole = await gateway.get("/api/v1/cost", by="node")
        assert (whole["price_list"], whole["currency"]) == ("May", "EUR")
        [node] = whole["nodes"]
        assert node["per_hour"] == pytest.approx(0.4)
        assert node["idle_per_hour"] is None, "what a pod without requests and usage costs is not known"
        [of_pods] = [each for each in whole["costs"] if each["id"] == key_of_ref(NODE)]
        assert (of_pods["per_hour"], of_pods["unknown"]) == (None, 1)
        assert of_pods["known_per_hour"] == pytest.approx(found["per_hour"])

        refused = await gateway.client.get("/api/v1/cost", params={"by": "pod"})
        assert (refused.status_code, "expected by out of entity, workload" in refused.text) == (400, True)


async def test_without_a_price_list_nothing_has_a_cost(bus: Bus, gateway: Running) -> None:
    await shop(bus, cpu_percent=1.0)
    answer = await gateway.get("/api/v1/cost")
    assert (answer["price_list"], answer["costs"], answer["nodes"]) == (None, [], [])
