"""What the gateway answers over NATS, to a plain client."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import nats
import pytest
from jsonschema import Draft202012Validator
from nats.aio.client import Client

from kgents_gateway.http.routes import QUESTIONS as ROUTES
from kgents_gateway.queries.endpoints import ANSWER_BYTES_MAX
from kgents_gateway.queries.paths import PATHS
from kgents_gateway.questions import QUESTIONS
from kgents_shared.bus.answering import ERROR, ERROR_CODE
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.view.entity import key_of_ref
from support.build import make_ref
from support.gateway import Running, caught_up
from support.nats_server import NatsServer
from support.state import make_alert, make_health, make_topology, publish

POD = make_ref("cart-1")
OF_ENTITY = {"entity_id": key_of_ref(POD)}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "diff": {"since": "-1s"},
    "path": {"source": key_of_ref(POD), "target": key_of_ref(POD)},
    "search": {"q": "cart"},
    **dict.fromkeys((name for name in QUESTIONS if name.startswith("entity")), OF_ENTITY),
    "metrics": OF_ENTITY,
}


@pytest.fixture
async def caller(server: NatsServer) -> AsyncIterator[Client]:
    client = await nats.connect(server.url)
    yield client
    await client.close()


async def shop(bus: Bus, gateway: Running) -> None:
    """Two pods, one of them with a figure, and one entity of each kind that a subject stands for."""
    kinds = ("namespace", "service", "deployment", "nats_subject", "nats_stream")
    await publish(
        bus,
        make_topology(ref=POD),
        make_topology("cart-2"),
        *(make_topology(ref=Ref("local", kind, f"a-{kind}")) for kind in kinds),
        *(make_topology(ref=Ref("local", kind, f"a-{kind}"), sources=["docker"]) for kind in ("container", "network")),
        make_health("cart-1", level="critical"),
        make_alert("cart-1"),
    )
    sample = ResourcePulse(
        text="", ref=POD, source="k8s", timestamp=datetime.now(UTC), interval_s=5, cpu_percent=3.0, memory_bytes=7
    )
    await (await bus.session()).request(POD.subject("pulse", source="k8s"), encode(sample))
    await caught_up(bus, gateway)


async def ask(caller: Client, subject: str, **arguments: Any) -> Any:
    answer = await caller.request(subject, json.dumps(arguments).encode() if arguments else b"", timeout=30)
    assert answer.headers is None, answer.headers
    return json.loads(answer.data)


def names(answer: dict[str, Any]) -> list[str]:
    return sorted(each["ref"]["name"] for each in answer["entities"])


async def test_the_paths_of_the_mission_are_answered(caller: Client, bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    for path, expected in {
        "topology": 9,
        "topology.filter": 9,
        "k8s.namespaces": ["a-namespace"],
        "k8s.pods": ["cart-1", "cart-2"],
        "k8s.services": ["a-service"],
        "k8s.deployments": ["a-deployment"],
        "docker.containers": ["a-container"],
        "docker.networks": ["a-network"],
        "nats.subjects": ["a-nats_subject"],
        "nats.streams": ["a-nats_stream"],
    }.items():
        found = names(await ask(caller, f"world.infra.{path}"))
        assert (found if isinstance(expected, list) else len(found)) == expected, path
    assert names(await ask(caller, "world.infra.topology.filter", levels=["critical"])) == ["cart-1"]
    added = (await ask(caller, "world.infra.topology.diff", since="-1h"))["entities"]
    assert len(added) == 9
    assert (await ask(caller, "world.infra.k8s.events"))["subject"] == "kgents.event.*.k8s.*.*.*"
    assert (await ask(caller, "world.infra.nats.messages"))["subject"] == "kgents.>"
    assert (await ask(caller, "world.infra.docker.stats"))["entities"] == []
    for path, figures in {
        "cpu": {"cpu_percent": 3.0},
        "memory": {"memory_bytes": 7},
        "network": {},
        "custom": {"cpu_percent": 3.0, "memory_bytes": 7},
    }.items():
        found = await ask(caller, f"world.infra.metrics.{path}")
        assert [(each["id"], each["figures"]) for each in found["entities"]] == [(key_of_ref(POD), figures)]
    assert (await ask(caller, "world.infra.health.score", **OF_ENTITY))["level"] == "critical"
    assert [each["ref"]["name"] for each in (await ask(caller, "world.infra.health.alerts"))["alerts"]] == ["cart-1"]
    assert {each["signal"] for each in await ask(caller, "world.infra.health.history", **OF_ENTITY)} == {
        "topology",
        "health",
        "alert",
    }


async def test_nats_and_http_give_the_same_answers_and_the_same_problems(
    caller: Client, bus: Bus, gateway: Running
) -> None:
    await shop(bus, gateway)
    route = {question: path for path, question in ROUTES if path.startswith("/api/v1/") or question == "databases"}
    assert route.keys() == QUESTIONS.keys()
    for name in QUESTIONS:
        for arguments in (ARGUMENTS.get(name, {}), {"unknown": "1"}, {"entity_id": "a.b"}):
            path = route[name].replace("{entity_id}", arguments.get("entity_id", "x")).replace("{incident_id}", "x")
            params = {key: value for key, value in arguments.items() if f"{{{key}}}" not in route[name]}
            http = await gateway.client.get(path, params=params)
            over_nats = {each: "x" for each in ("entity_id", "incident_id") if f"{{{each}}}" in route[name]}
            answer = await caller.request(
                f"world.v1.{name}", json.dumps({**over_nats, **arguments}).encode(), timeout=30
            )
            assert timeless(json.loads(answer.data)) == timeless(http.json()), (name, arguments)
            headers = answer.headers or {}
            assert int(headers.get(ERROR_CODE, 200)) == http.status_code
            if http.status_code != 200:
                assert headers[ERROR] == http.json()["detail"]


def timeless(answer: Any) -> Any:
    """Without the moments at which it was asked, and the ages at that moment."""
    if isinstance(answer, dict) and "instances" in answer:
        answer = {**answer, "instances": [{**each, "age_s": 0} for each in answer["instances"]]}
    if isinstance(answer, dict) and "since" in answer:
        return {key: value for key, value in answer.items() if key not in ("since", "until")}
    return {key: value for key, value in answer.items() if key != "at"} if isinstance(answer, dict) else answer


async def test_what_is_no_question_is_refused_with_what_was_expected(caller: Client, gateway: Running) -> None:
    assert gateway.server.started
    for payload, expected in {
        b"[]": "expected a JSON object",
        b"{": "expected a JSON object",
        b'{"kinds":' + b"[" * 20_000: "expected a JSON object",
        b'{"kinds":"pod"}': "kinds: expected `array`",
        b'{"limit":0}': "limit: expected `int` >= 1",
        b" " * 70_000: "at most 65536 bytes",
    }.items():
        answer = await caller.request("world.infra.topology", payload, timeout=30)
        assert answer.headers is not None, payload
        assert expected in answer.headers[ERROR]
        assert json.loads(answer.data)["detail"] == answer.headers[ERROR]
    answer = await caller.request("world.infra.k8s.pods", b'{"kinds":["node"]}', timeout=30)
    assert "expected no kinds" in json.loads(answer.data)["detail"]


async def test_a_large_answer_comes_in_pages_that_hold_every_entity_once(
    caller: Client, bus: Bus, gateway: Running
) -> None:
    labels = {"padding": "x" * 6_000}
    await publish(bus, *(make_topology(f"p-{number:03}", labels=labels) for number in range(200)))
    await caught_up(bus, gateway)
    found: list[str] = []
    after, pages = "", 0
    while after or not pages:
        answer = await caller.request("world.infra.k8s.pods", json.dumps({"after_id": after}).encode(), timeout=30)
        assert len(answer.data) <= ANSWER_BYTES_MAX
        page = json.loads(answer.data)
        assert page["count"] == 200 - len(found)
        found += [each["ref"]["name"] for each in page["entities"]]
        after, pages = page["next"], pages + 1
    assert found == [f"p-{number:03}" for number in range(200)]
    assert 3 <= pages <= 4
    refused = await caller.request("world.v1.entity.neighbours", b'{"entity_id":"a"}', timeout=30)
    assert refused.headers is not None
    assert refused.headers[ERROR_CODE] == "404"


async def test_every_endpoint_describes_what_it_takes(caller: Client, gateway: Running) -> None:
    assert gateway.server.started
    info = json.loads((await caller.request("$SRV.INFO.kgents-gateway", timeout=30)).data)
    described = {each["subject"]: each for each in info["endpoints"]}
    assert described.keys() == {each.subject for each in PATHS}
    assert len({each["name"] for each in info["endpoints"]}) == len(PATHS)
    pods = json.loads(described["world.infra.k8s.pods"]["metadata"]["arguments"])
    assert pods["type"] == "object"
    assert {"namespaces", "labels", "limit", "after_id"} <= pods["properties"].keys()
    assert not {"kinds", "sources"} & pods["properties"].keys()
    for each in described.values():
        Draft202012Validator.check_schema(json.loads(each["metadata"]["arguments"]))
    entity = json.loads(described["world.v1.entity"]["metadata"]["arguments"])
    assert entity["required"] == ["entity_id"]
