"""What the gateway answers while NATS is connected and does not answer, and about what it cannot know."""

import os
import signal
from typing import Any

import msgspec
import pytest

from kgents_gateway import world
from kgents_shared.bus.client import Bus
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from support.build import make_ref
from support.gateway import EVENTS, Running, reading
from support.nats_server import NatsServer
from support.state import make_health, make_topology, publish
from support.waiting import eventually


async def is_well(gateway: Running, status: str = "healthy") -> bool:
    """Whether it answers about now."""
    response = await gateway.client.get("/api/v1/health")
    if response.status_code != 200:
        return False
    answer = response.json()
    return (answer["status"], answer["stale_since"], len(answer["clusters"])) == (status, None, 1)


async def healthy_shop(bus: Bus, gateway: Running, status: str = "healthy") -> None:
    cluster = make_health(ref=make_ref("test", kind="cluster", namespace=""))
    await publish(bus, make_topology("cart"), make_health("cart"), cluster)
    await eventually(lambda: is_well(gateway, status))


async def is_stale(gateway: Running, status: str = "unknown") -> bool:
    answer: Any = await gateway.get("/api/v1/health")
    return answer["stale_since"] is not None and answer["status"] == status


async def test_a_server_that_hangs_makes_nothing_healthy_and_it_is_healthy_again(
    bus: Bus, server: NatsServer, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await healthy_shop(bus, gateway)
    monkeypatch.setattr(world, "SILENT_S", 1.0)
    assert server._process is not None
    os.kill(server._process.pid, signal.SIGSTOP)
    try:
        await eventually(lambda: is_stale(gateway))
        assert gateway.gateway.stale_since is not None
        silent_s = (gateway.gateway.now() - gateway.gateway.stale_since).total_seconds()
        assert silent_s > world.SILENT_S, "since the last answer, not since the silence was noticed"
        refused = await gateway.client.get("/api/v1/pipeline")
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
    finally:
        os.kill(server._process.pid, signal.SIGCONT)
    monkeypatch.undo()
    await eventually(lambda: is_well(gateway))


async def test_while_nothing_is_heard_no_figure_and_no_text_is_healthy_but_what_was_critical_stays_so(
    bus: Bus, server: NatsServer, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(bus, make_topology("worn"), make_health("worn", level="critical", score=0.1))
    await healthy_shop(bus, gateway, status="critical")
    monkeypatch.setattr(world, "SILENT_S", 1.0)
    server.pause()
    try:
        await eventually(lambda: is_stale(gateway, status="critical"))
        health = await gateway.get("/api/v1/health")
        assert health["levels"] == {"unknown": 1, "critical": 1}
        assert health["by_kind"] == {"pod": {"unknown": 1, "critical": 1}}
        (cluster,) = health["clusters"]
        assert (cluster["level"], cluster["text"].startswith("Unknown: ")) == ("unknown", True)
        (cart,) = (await gateway.get("/api/v1/entities", names="cart"))["entities"]
        assert (cart["health"]["level"], bool(cart["stale"])) == ("unknown", True)
        one = await gateway.get(f"/api/v1/entities/{cart['id']}/health")
        assert one["level"] == "unknown"
        assert any(each in one["text"] for each in ("NATS does not answer", "NATS cannot be reached")), one["text"]
        assert (await gateway.get("/api/v1/entities", levels="healthy"))["count"] == 0
    finally:
        server.resume()
    monkeypatch.undo()
    await eventually(lambda: is_well(gateway, status="critical"))
    assert (await gateway.get("/api/v1/health"))["levels"] == {"healthy": 1, "critical": 1}


async def test_a_client_that_connects_meanwhile_knows_it_at_once_and_all_know_when_it_is_over(
    bus: Bus, server: NatsServer, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await healthy_shop(bus, gateway)
    monkeypatch.setattr(world, "SILENT_S", 1.0)
    async with reading(gateway) as before:
        server.pause()
        try:
            await eventually(lambda: "stale" in before.names)
            async with reading(gateway) as entities, reading(gateway, EVENTS) as events:
                for each in (entities, events):
                    await eventually(lambda: each.names[:2] == ["hello", "stale"])  # noqa: B023 - awaited at once
                    assert each.data("stale") == before.data("stale")
                assert entities.state == before.state
                server.resume()
                for each in (before, entities, events):
                    await eventually(lambda: each.names[-1] == "live")  # noqa: B023 - awaited at once
                    said = [name for name in each.names if name in ("stale", "live")]
                    assert said == ["stale", "live"] * (len(said) // 2)  # once, and again if this machine stalls
        finally:
            server.resume()
    monkeypatch.undo()
    await eventually(lambda: is_well(gateway))
    async with reading(gateway) as after:
        assert "stale" not in after.names


async def test_the_answer_about_a_second_silence_is_not_that_of_the_first(
    bus: Bus, server: NatsServer, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await healthy_shop(bus, gateway)
    monkeypatch.setattr(world, "SILENT_S", 1.0)
    found = []
    for _ in range(2):
        server.pause()
        try:
            await eventually(lambda: is_stale(gateway))
            found.append((await gateway.get("/api/v1/health"))["stale_since"])
        finally:
            server.resume()
        await eventually(lambda: is_well(gateway))
    assert found[0] < found[1]


async def test_streams_that_are_gone_make_nothing_healthy(
    bus: Bus, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await healthy_shop(bus, gateway)
    monkeypatch.setattr(world, "SILENT_S", 1.0)
    for stream in NAME_BY_SIGNAL.values():
        await (await bus.session()).api(f"STREAM.DELETE.{stream}", None, msgspec.Raw)

    async def is_not_well() -> bool:
        return not await is_well(gateway)

    await eventually(is_not_well)


async def test_before_its_streams_nothing_is_known_and_that_is_said(bus: Bus, gateway: Running) -> None:
    await healthy_shop(bus, gateway)
    topics = ["kgents.topology.>", "kgents.health.>", "kgents.alert.>"]
    before = await gateway.get("/api/v1/entities", at="2026-01-01T00:00:00Z")
    assert (before["count"], before["forgotten"]) == (0, topics)
    assert (await gateway.get("/api/v1/diff", since="-9d"))["forgotten"] == topics
    assert (await gateway.get("/api/v1/diff", since="-0s"))["forgotten"] == []


async def test_whole_clusters_are_not_counted_beside_a_part_of_them(bus: Bus, gateway: Running) -> None:
    await healthy_shop(bus, gateway)
    await publish(bus, make_health(ref=make_ref("test", kind="cluster", namespace="")))

    async def clusters(**filters: str) -> list[str]:
        return [each["cluster"] for each in (await gateway.get("/api/v1/health", **filters))["clusters"]]

    await eventually(clusters)
    assert await clusters(clusters="te*") == ["test"]
    assert await clusters(clusters="other") == []
    for part in ({"namespaces": "shop"}, {"kinds": "pod"}, {"levels": "healthy"}, {"labels": "!none"}):
        assert await clusters(**part) == [], part
