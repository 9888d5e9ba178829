"""A moment of the past: its figures, incidents and events, and what is not known of it; never those of now."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from kgents_gateway.questions.figures import NOT_ALL_TAKEN
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Aggregate
from kgents_shared.contract.pulse import DatabasePulse, Pulse, ResourcePulse
from kgents_shared.view.entity import key_of_ref
from support.build import make_ref
from support.decisions import stored
from support.gateway import Running, caught_up
from support.incidents import make_incident
from support.state import edge, make_alert, make_event, make_health, make_topology, publish, removed
from support.waiting import eventually

DATABASE: Final = Ref("local", "database", "orders")
ID: Final = make_incident().id
CLUSTER: Final = Ref("local", "cluster", "local")
BUSY: Final = key_of_ref(make_ref("busy"))
WORN: Final = key_of_ref(make_ref("worn"))
CHANGES: Final = 16
"""As many as the stream keeps of one incident."""


async def send(bus: Bus, *pulses: Pulse) -> None:
    session = await bus.session()
    for each in pulses:
        await session.request(each.ref.subject("pulse", source="k8s"), encode(each))


def pulse(name: str, cpu_percent: float) -> ResourcePulse:
    now = datetime.now(UTC)
    return ResourcePulse(ref=make_ref(name), source="k8s", timestamp=now, interval_s=30.0, cpu_percent=cpu_percent)


def database(phase: str) -> DatabasePulse:
    now = datetime.now(UTC)
    return DatabasePulse(ref=DATABASE, source="k8s", backend="postgres", timestamp=now, interval_s=30.0, phase=phase)


@pytest.fixture
async def then(bus: Bus, gateway: Running) -> str:
    """A moment after which everything differs."""
    await publish(
        bus, make_topology("busy", labels={"app": "cart"}), make_topology("late"), make_topology(ref=DATABASE)
    )
    await send(bus, pulse("busy", 5.0), database("overloaded"))
    await stored(bus, make_incident(title="as it began"))
    await publish(bus, make_event("busy", number=1))
    moment = datetime.now(UTC) + timedelta(milliseconds=20)
    await eventually(lambda: datetime.now(UTC) > moment + timedelta(milliseconds=20))
    await publish(bus, make_topology("busy"))  # without the label
    await send(bus, pulse("busy", 95.0), pulse("late", 50.0), database("healthy"))
    await stored(bus, make_incident(title="as it ended", state="resolved"), make_incident("late", id="b" * 16))
    await publish(bus, make_event("busy", number=2))
    await caught_up(bus, gateway)
    await eventually(lambda: len(gateway.gateway.incidents.all()) == 2)
    return moment.isoformat()


async def cpu(gateway: Running, **params: Any) -> dict[str, float]:
    found = await gateway.get("/api/v1/metrics", metrics="cpu_percent", kinds="pod", **params)
    return {each["ref"]["name"]: each["figures"]["cpu_percent"] for each in found["entities"]}


async def test_figures_are_those_of_the_moment(gateway: Running, then: str) -> None:
    assert await cpu(gateway) == {"busy": 95.0, "late": 50.0}
    assert await cpu(gateway, at=then) == {"busy": 5.0}
    assert await cpu(gateway, at=then, labels="app=cart") == {"busy": 5.0}, "by the labels of then"
    assert await cpu(gateway, labels="app=cart") == {}
    phases = [(await gateway.get("/api/db/metrics", **at))["databases"][0]["phase"] for at in ({"at": then}, {})]
    assert phases == ["overloaded", "healthy"]
    path = f"/api/v1/entities/{key_of_ref(make_ref('busy'))}/metrics"
    (series,) = (await gateway.get(path, until=then))["series"]["cpu_percent"]
    assert series["values"] == [5.0]


async def test_figures_of_entities_whose_labels_are_forgotten_are_said_to_be_left_out(
    bus: Bus, gateway: Running, then: str
) -> None:
    assert (await gateway.get("/api/v1/metrics", at=then, labels="app=cart"))["remarks"] == []
    for ref in (make_ref("busy"), DATABASE):
        await publish(bus, *(make_topology(ref=ref, status=f"{each}") for each in range(CHANGES)))
    for path in ("/api/v1/metrics", "/api/db/metrics"):
        found = await gateway.get(path, at=then, labels="app=cart")
        assert (found["count"], found["remarks"]) == (0, [NOT_ALL_TAKEN]), path


async def test_what_is_forgotten_of_one_moment_is_no_difference(bus: Bus, gateway: Running, state_then: str) -> None:
    found = (await gateway.get("/api/v1/diff", since=state_then))["entities"]
    ops = {each["ref"]["name"]: each["op"] for each in found}
    assert ops == {"busy": "changed", "gone": "removed", "late": "added", "worn": "unknown"}
    await publish(bus, *(make_health("busy", score=0.9 + each / 1_000) for each in range(CHANGES)))
    found = (await gateway.get("/api/v1/diff", since=state_then, names="busy"))["entities"]
    fields = {each["field"] for one in found for each in one["fields"]}
    assert fields == {"status", "alerts.KG-001"}, "not: from unknown to healthy"
    long_ago = await gateway.get("/api/v1/diff", since="2026-01-01T00:00:00Z")
    assert {each["op"] for each in long_ago["entities"]} == {"unknown"}, "not: everything was added"


async def test_incidents_and_events_are_those_of_the_moment(gateway: Running, then: str) -> None:
    (found,) = (await gateway.get("/api/v1/incidents", at=then, states="open,resolved"))["incidents"]
    assert (found["title"], found["state"]) == ("as it began", "open")
    detail = await gateway.get(f"/api/v1/incidents/{ID}", at=then)
    assert detail["incident"]["title"] == "as it began"
    assert (detail["receivers"], detail["silences"]) == (None, None), "that is not kept, which is not: no one"
    assert (await gateway.client.get(f"/api/v1/incidents/{'b' * 16}", params={"at": then})).status_code == 404
    assert [each["text"][-1] for each in (await gateway.get("/api/v1/events"))["events"]] == ["2", "1"]
    assert [each["text"][-1] for each in (await gateway.get("/api/v1/events", until=then))["events"]] == ["1"]


async def test_what_is_not_known_of_a_moment_is_said_and_never_what_is_now(
    bus: Bus, gateway: Running, then: str
) -> None:
    before = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    for path in ("/api/v1/metrics", "/api/db/metrics"):
        found = await gateway.get(path, at=before)
        assert (found["count"], len(found["remarks"])) == (0, 1)
        assert "samples are held since" in found["remarks"][0]
    found = await gateway.get("/api/v1/incidents", at=before)
    assert (found["incidents"], found["forgotten"]) == ([], ["kgents.incident.>"])
    await stored(bus, *(make_incident(title=f"t{each}") for each in range(CHANGES)))
    found = await gateway.get("/api/v1/incidents", at=then)
    assert (found["incidents"], found["forgotten"]) == ([], [make_incident().subject])
    response = await gateway.client.get(f"/api/v1/incidents/{ID}", params={"at": then})
    assert (response.status_code, "no longer kept" in response.text) == (404, True)


@pytest.fixture
async def state_then(bus: Bus, gateway: Running) -> str:
    """A moment after which each entity is in another state, is gone, or has changed too often."""
    await publish(bus, make_topology("busy", status="pending"), make_health("busy", level="critical"))
    await publish(bus, make_alert("busy"), make_topology("gone"), make_health("gone"), make_topology("worn"))
    await publish(bus, make_health(ref=CLUSTER, level="critical", aggregate=Aggregate("critical", {})))
    moment = datetime.now(UTC) + timedelta(milliseconds=20)
    await eventually(lambda: datetime.now(UTC) > moment + timedelta(milliseconds=20))
    await publish(bus, make_topology("busy"), make_health("busy"), make_alert("busy", state="resolved"))
    await publish(bus, removed(make_health("gone")), removed(make_topology("gone")), make_topology("late"))
    await publish(bus, make_health(ref=CLUSTER, aggregate=Aggregate("healthy", {})))
    await publish(bus, *(make_topology("worn", status=f"{each}") for each in range(CHANGES)))
    await caught_up(bus, gateway)
    return moment.isoformat()


async def at_each_door(bus: Bus, gateway: Running, path: str, question: str, **arguments: str) -> Any:
    """The answer over HTTP, which is that over NATS and to a model."""
    found = await gateway.get(path, **{name: each for name, each in arguments.items() if name != "entity_id"})
    over_nats = await (await bus.session()).request(f"world.v1.{question}", json.dumps(arguments).encode())
    call = {"name": question.replace(".", "_"), "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    tool = (await gateway.client.post("/mcp", json=message)).json()["result"]["content"][0]["text"]
    assert json.loads(over_nats.data) == json.loads(tool) == found
    return found


async def test_an_entity_and_its_health_are_those_of_the_moment(bus: Bus, gateway: Running, state_then: str) -> None:
    path = f"/api/v1/entities/{BUSY}"
    was = await at_each_door(bus, gateway, path, "entity", entity_id=BUSY, at=state_then)
    assert (was["id"], was["status"], was["health"]["level"]) == (BUSY, "pending", "critical")
    assert [each["state"] for each in was["alerts"]] == ["firing"]
    assert (was["forgotten"], was["archived"], was["remarks"]) == ([], [], []), "all of it is known"
    now = await gateway.get(path)
    assert (now["status"], now["health"]["level"], now["alerts"][0]["state"]) == ("running", "healthy", "resolved")
    of_health = await at_each_door(bus, gateway, f"{path}/health", "entity.health", entity_id=BUSY, at=state_then)
    assert (of_health["level"], [each["state"] for each in of_health["alerts"]]) == ("critical", ["firing"])
    for id_, said in (
        (WORN, "no longer kept"),
        (key_of_ref(make_ref("late")), "expected the id of an entity"),
        ("no.id", "expected the id of an entity"),
    ):
        for question in ("", "/health"):
            answer = await gateway.client.get(f"/api/v1/entities/{id_}{question}", params={"at": state_then})
            assert (answer.status_code, said in answer.text) == (404, True), answer.text


async def test_health_and_alerts_are_those_of_the_moment(bus: Bus, gateway: Running, state_then: str) -> None:
    forgotten = [make_ref("worn").subject("topology")]
    found = await at_each_door(bus, gateway, "/api/v1/health", "health", at=state_then)
    assert (found["status"], found["levels"], found["firing"]) == ("critical", {"critical": 1, "healthy": 1}, 1)
    assert ([each["level"] for each in found["clusters"]], found["forgotten"]) == (["critical"], forgotten)
    assert (await gateway.get("/api/v1/health", at=state_then, names="gone"))["status"] == "healthy"
    partly = await gateway.get("/api/v1/health", at=state_then, names="gone,worn")
    assert (partly["status"], partly["levels"]) == ("unknown", {"healthy": 1}), "what is forgotten may have been unwell"
    long_ago = await gateway.get("/api/v1/health", at="2026-01-01T00:00:00Z")
    assert (long_ago["status"], long_ago["entities"]) == ("unknown", 0)
    assert set(long_ago["forgotten"]) >= {f"kgents.{each}.>" for each in ("topology", "health", "alert")}
    firing = await at_each_door(bus, gateway, "/api/v1/alerts", "alerts", at=state_then)
    assert [each["ref"]["name"] for each in firing["alerts"]] == ["busy"]
    assert (firing["count"], firing["forgotten"]) == (1, forgotten)
    assert (await gateway.get("/api/v1/alerts"))["count"] == 0


async def test_a_name_is_searched_among_the_entities_of_the_moment(bus: Bus, gateway: Running, state_then: str) -> None:
    found = await at_each_door(bus, gateway, "/api/v1/search", "search", q="gone", at=state_then)
    assert [each["id"] for each in found["entities"]] == [key_of_ref(make_ref("gone"))]
    assert datetime.fromisoformat(found["at"]) == datetime.fromisoformat(state_then)
    assert found["forgotten"] == [make_ref("worn").subject("topology")]
    assert (await gateway.get("/api/v1/search", q="late", at=state_then))["entities"] == []


async def test_connections_are_those_of_the_moment(bus: Bus, gateway: Running) -> None:
    old, new, pod = make_ref("old", kind="node"), make_ref("new", kind="node"), make_ref("busy")
    lone = [make_topology(ref=each) for each in (old, new)]
    await publish(bus, *lone, make_topology("busy", connections=[edge("runs_on", old)]))
    moment = datetime.now(UTC) + timedelta(milliseconds=20)
    await eventually(lambda: datetime.now(UTC) > moment + timedelta(milliseconds=20))
    await publish(bus, make_topology("busy", connections=[edge("runs_on", new)]), make_topology("late"))
    await caught_up(bus, gateway)
    then = moment.isoformat()
    for node, at, count in ((old, {"at": then}, 1), (new, {"at": then}, 0), (old, {}, 0), (new, {}, 1)):
        of = f"/api/v1/entities/{key_of_ref(node)}"
        near = await gateway.get(f"{of}/neighbours", **at)
        reached = await at_each_door(bus, gateway, f"{of}/impact", "entity.impact", entity_id=key_of_ref(node), **at)
        assert (reached["lost"], len(near["entities"])) == (count, count), (node, at)
        ends = {"source": key_of_ref(pod), "target": key_of_ref(node)}
        assert len((await gateway.get("/api/v1/path", **ends, **at))["paths"]) == count
    late = f"/api/v1/entities/{key_of_ref(make_ref('late'))}/impact"
    assert (await gateway.client.get(late, params={"at": then})).status_code == 404
    refused = await gateway.client.get(late, params={"at": "2026-01-01T00:00:00Z"})
    assert (refused.status_code, "no longer kept" in refused.text) == (404, True), "never: nothing depended on it"
