"""One question has one answer, through whichever door; and every figure in it is over the selected entities alone."""

import json
import random
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kgents_gateway.http.routes import QUESTIONS as ROUTES
from kgents_gateway.questions import QUESTIONS
from kgents_gateway.questions.arguments import Filters
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.entity import Ref
from kgents_shared.view.entity import key_of_ref
from support.decisions import make_silence, stored
from support.gateway import Running, serving
from support.incidents import make_incident
from support.nats_server import NatsServer
from support.state import edge, make_alert, make_event, make_health, make_topology, publish
from support.streams import provision_streams
from support.waiting import eventually

PATHS = {name: path for path, name in ROUTES if path.startswith("/api/v1/") or name == "databases"}
CLUSTERS = ["prod", "dev"]
KINDS = ["pod", "node", "service", "wal-sender"]
NAMESPACES = ["", "shop", "ünïcode", "a.b/c"]
NAMES = ["cart-1", "cart-2", "Ω", "naïve käse", "a>b*c", "=2F", "_", "x" * 300, "%41&b=c#d", "\u202eevil", "日本/語"]
LEVELS = ["healthy", "warning", "critical", "unknown"]
SOURCES = ["k8s", "docker"]
FIELDS_OF_NOW = ("at", "age_s", "since", "until")
"""What depends on the moment of the question."""


class World:
    """Random entities, as they are published, to select from in the plainest way."""

    def __init__(self, dice: random.Random) -> None:
        count = dice.randrange(5, 40)
        self.refs = list(
            {
                Ref(dice.choice(CLUSTERS), dice.choice(KINDS), dice.choice(NAMES), dice.choice(NAMESPACES)): None
                for _ in range(count)
            }
        )
        self.sources = {ref: dice.choice(SOURCES) for ref in self.refs}
        self.labels = {ref: {"app": dice.choice(["web", "db"])} for ref in self.refs}
        self.levels = {ref: dice.choice(LEVELS) for ref in self.refs}
        self.firing = {ref for ref in self.refs if dice.random() < 0.4}
        self.peers = {ref: dice.sample(self.refs, min(2, len(self.refs))) for ref in self.refs}

    async def publish(self, bus: Bus) -> None:
        for number, ref in enumerate(self.refs):
            connections = [edge("depends", peer) for peer in self.peers[ref] if peer != ref]
            await publish(
                bus,
                make_topology(ref=ref, sources=[self.sources[ref]], labels=self.labels[ref], connections=connections),
                make_event(ref=ref, source=self.sources[ref], number=number),
            )
            if self.levels[ref] != "unknown":
                await publish(bus, make_health(ref=ref, level=self.levels[ref]))
            if ref in self.firing:
                await publish(bus, make_alert(ref=ref))

    def selected(self, filters: Mapping[str, Any]) -> set[Ref]:
        wanted = {name: filters.get(name) or ["*"] for name in ("clusters", "kinds", "namespaces", "names")}
        return {
            ref
            for ref in self.refs
            if all(
                any(fnmatchcase(value, word) for word in wanted[name])
                for name, value in zip(wanted, (ref.cluster, ref.kind, ref.namespace, ref.name), strict=True)
            )
            and self.levels[ref] in (filters.get("levels") or LEVELS)
            and self.sources[ref] in (filters.get("sources") or SOURCES)
            and filters.get("labels", f"app={self.labels[ref]['app']}") == f"app={self.labels[ref]['app']}"
        }


def some_filters(dice: random.Random) -> dict[str, Any]:
    options: dict[str, Any] = {
        "clusters": [["prod"], ["*"], ["pr?d", "dev"]],
        "kinds": [["pod"], ["node", "service"], ["w*"], ["unheard-of"]],
        "namespaces": [[""], ["shop"], ["ü*"], ["", "a.b/c"]],
        "names": [["cart-*"], ["Ω"], ["=2F"], ["x*"], ["%41&b=c#d"], ["nobody"]],
        "levels": [["critical"], ["healthy", "unknown"]],
        "sources": [["k8s"], ["docker", "k8s"]],
        "labels": ["app=web"],
    }
    return {name: dice.choice(options[name]) for name in dice.sample(list(options), dice.randrange(4))}


def some_arguments(name: str, world: World, dice: random.Random) -> dict[str, Any]:
    """Arguments of a question, some of them wrong."""
    fields = set(QUESTIONS[name].arguments.__struct_fields__)
    known = key_of_ref(dice.choice(world.refs))
    begin = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    options: dict[str, list[Any]] = {
        "incident_id": ["5c0ffee5a17c0de5", "5c0ffee5a17c0de5", "x", "é", "x" * 65],
        "entity_id": [known, known, known, "", "a.b", "...", "local.pod.shop.*", "é", "x" * 2_000, "a\n.b.c.d"],
        "source": [known, known, "no-one"],
        "target": [key_of_ref(dice.choice(world.refs))],
        "q": [dice.choice(world.refs).name[:200], "cart", "pod/cart-1", "zzz", "*", "\u0000"],
        "limit": [1, 3, 1_000, 0, -1],
        "after_id": ["", known, "zzz"],
        "since": [begin, begin, "yesterday", "2999-01-01T00:00:00Z", "2026-01-01T00:00:00"],
        "at": ["", begin, "2999-01-01T00:00:00Z", "-1", "-9999999d", "0001-01-01T00:00:00Z"],
        "until": ["", "2999-01-01T00:00:00Z"],
        "depth": [1, 3, 9],
        "states": [["firing"], ["resolved", "pending"], ["burning"]],
        "severities": [["warning"], ["loud"], []],
        "metrics": [[], ["cpu_percent"]],
        "signal": ["", "event", "meta"] if name == "follow" else [""],
        "cluster": ["prod", "ünï"],
        "kind": ["pod"],
    }
    needed = ("entity_id", "incident_id", "source", "target", "q", "since")
    required = {each for each in needed if each in fields and name != "follow"}
    chosen = required | {each for each in fields & options.keys() if dice.random() < 0.25}
    found = {each: dice.choice(options[each]) for each in sorted(chosen)}
    if issubclass(QUESTIONS[name].arguments, Filters):
        found |= some_filters(dice)
    if dice.random() < 0.05:
        found["levels"] = ["purple"]
    return found


class Doors:
    """The three ways to ask a gateway."""

    def __init__(self, bus: Bus, gateway: Running) -> None:
        self.bus = bus
        self.gateway = gateway

    async def http(self, name: str, arguments: Mapping[str, Any]) -> tuple[int, Any]:
        path, params = PATHS[name], dict(arguments)
        if "{entity_id}" in path:
            path = path.replace("{entity_id}", quote(params.pop("entity_id"), safe=""))
        if "{incident_id}" in path:
            path = path.replace("{incident_id}", quote(params.pop("incident_id"), safe=""))
        given = {key: value for key, value in params.items() if value != []}  # `x=` is a list of one empty text
        query = {key: ",".join(value) if isinstance(value, list) else str(value) for key, value in given.items()}
        response = await self.gateway.client.get(path, params=query)
        return response.status_code, response.json()

    async def nats(self, name: str, arguments: Mapping[str, Any]) -> tuple[int, Any]:
        answer = await (await self.bus.session()).request(f"world.v1.{name}", json.dumps(arguments).encode())
        return int((answer.headers or {}).get("Nats-Service-Error-Code", 200)), json.loads(answer.data)

    async def mcp(self, name: str, arguments: Mapping[str, Any]) -> tuple[bool, Any]:
        params = {"name": name.replace(".", "_"), "arguments": arguments}
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        response = await self.gateway.client.post("/mcp", json=call)
        result = response.json()["result"]
        text = result["content"][0]["text"]
        return result["isError"], text if result["isError"] else json.loads(text)


def timeless(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: timeless(each) for name, each in answer.items() if name not in FIELDS_OF_NOW}
    return [timeless(each) for each in answer] if isinstance(answer, list) else answer


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    async with NatsServer(tmp_path) as server, Bus(NatsConfig(url=server.url), name="test") as bus:
        await provision_streams(bus)
        yield bus


@pytest.mark.parametrize("seed", range(3))
async def test_every_door_gives_the_same_answer_and_it_is_about_what_was_selected(bus: Bus, seed: int) -> None:
    dice = random.Random(seed)
    world = World(dice)
    await world.publish(bus)
    await stored(bus, make_incident(ref=dice.choice(world.refs)), make_silence("quiet"))
    async with serving(bus) as gateway:
        await eventually(lambda: gateway.gateway.incidents.all() and gateway.gateway.incidents.silences())
        doors = Doors(bus, gateway)
        current = gateway.gateway.current
        await eventually(lambda: sum(len(each.firing) for each in current.fold.entities()) == len(world.firing))
        for _ in range(5):
            for name in QUESTIONS:
                arguments = some_arguments(name, world, dice)
                if "/" in str(arguments.get("entity_id")) or not arguments.get("entity_id", "x").strip("."):
                    continue  # not one segment of a path
                status, over_http = await doors.http(name, arguments)
                also, over_nats = await doors.nats(name, arguments)
                assert (status, timeless(over_http)) == (also, timeless(over_nats)), (name, arguments)
                is_error, over_mcp = await doors.mcp(name, arguments)
                if status == 200:
                    assert timeless(over_mcp) == timeless(over_http), (name, arguments)
                else:
                    assert status in (400, 404), (name, arguments, over_http)
                    assert over_mcp == f"{over_http['title']}: {over_http['detail']}"
                assert is_error == (status != 200)
            await _is_about_what_was_selected(doors, world, some_filters(dice))


async def _is_about_what_was_selected(doors: Doors, world: World, filters: Mapping[str, Any]) -> None:
    expected = world.selected(filters)
    _, topology = await doors.http("topology", filters)
    assert {Ref(**each["ref"]) for each in topology["entities"]} == expected, filters
    assert topology["count"] == len(expected)
    _, health = await doors.http("health", filters)
    levels = [world.levels[ref] for ref in expected]
    assert health["levels"] == {level: levels.count(level) for level in set(levels)}
    by_kind = {(ref.kind, world.levels[ref]) for ref in expected}
    assert {(kind, level) for kind, counts in health["by_kind"].items() for level in counts} == by_kind
    assert (health["entities"], health["firing"]) == (len(expected), len(expected & world.firing))
    _, alerts = await doors.http("alerts", filters)
    assert {Ref(**each["ref"]) for each in alerts["alerts"]} == expected & world.firing
    assert alerts["count"] == len(expected & world.firing)
    _, events = await doors.http("events", filters)
    assert {Ref(**each["ref"]) for each in events["events"]} == expected
