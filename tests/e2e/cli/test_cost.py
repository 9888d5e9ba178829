"""`kgents cost` and the column of `kgents top`, by a price list."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nats.aio.client import Client

from kgents_shared.contract.pulse import ResourcePulse
from support.kgents_command import Kgents, publish
from support.shop import CART, DEPLOYMENT, NODE, WEB, connection, entity

GIB = 1024**3


async def test_costs_name_the_price_and_the_usage_that_they_are_made_of(
    client: Client, kgents: Kgents, tmp_path: Path
) -> None:
    requests = {"kgents.k8s.pod.cpu.request": 1.0, "kgents.k8s.pod.memory.request": GIB}
    capacity = {"kgents.k8s.node.cpu.capacity": 4.0, "kgents.k8s.node.memory.capacity": 8 * GIB}
    runs = connection("runs_on", NODE)
    for message in (
        entity(NODE, attributes=capacity),
        entity(DEPLOYMENT),
        entity(CART, attributes=requests, connections=[runs, connection("owns", DEPLOYMENT, "in")]),
        ResourcePulse(
            ref=CART, source="k8s", timestamp=datetime.now(UTC), interval_s=600, cpu_percent=200.0, memory_bytes=7
        ),
    ):
        await publish(client, message)
    prices = tmp_path / "prices.yaml"
    prices.write_text("{name: May, currency: EUR, vcpu_hour: 0.1, gib_hour: 0.01}")

    code, out, _ = await kgents("cost", "--prices", str(prices), "-o", "json")
    assert code == 0
    cart, idle = json.loads(out)
    assert (cart["name"], cart["charged_by"], cart["price_list"]) == (
        "deployment/shop/cart",
        ["request", "usage"],
        "May",
    )
    assert (cart["cost_per_hour"], cart["prices"]) == (pytest.approx(0.21), ["vcpu_hour and gib_hour"])
    assert (idle["name"], idle["cost_per_hour"]) == ("(idle)", pytest.approx(0.48 - 0.21))
    code, out, _ = await kgents("top", "pods", "--prices", str(prices))
    assert (code, out.splitlines()[0].split()[-1], out.splitlines()[1].split()[-1]) == (0, "COST-PER-HOUR", "0.2100")

    await publish(client, entity(WEB, connections=[runs]))  # it requests nothing, and no pulse is known
    code, out, err = await kgents("cost", "--prices", str(prices), "--by", "cluster")
    assert code == 0
    assert "0.2100 known" in out
    assert "May, in EUR" in err
    code, out, _ = await kgents("cost", "--prices", str(prices), "--by", "cluster", "-o", "html")
    assert code == 0
    assert all(each in out for each in ("<!doctype html>", "0.2100 known", "May, in EUR"))
    prices.write_text("{vcpu: 1}")
    code, _, err = await kgents("cost", "--prices", str(prices))
    assert (code, "unknown field" in err) == (1, True)
