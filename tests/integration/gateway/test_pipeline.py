"""What the gateway answers about the pipeline itself, over services that run, stop and die."""

from pathlib import Path
from typing import Any

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.meta import DeadLetter
from kgents_shared.contract.unread import Unread
from support.build import make_entity
from support.gateway import EVENTS, Running, SseReader, reading, serving
from support.nats_server import NatsServer
from support.running import running
from support.service_process import ServiceProcess
from support.state import make_event, publish
from support.truth import Truth
from support.waiting import eventually

pytestmark = pytest.mark.timeout(180)

PATH = "/api/v1/pipeline"


async def store(bus: Bus, subject: str, payload: bytes) -> None:
    answer = await (await bus.session(timeout_s=10)).request(subject, payload)
    assert b"error" not in answer.data, answer.data


def failing(found: dict[str, Any]) -> list[str]:
    return [each["text"] for each in found["findings"] if each["is_ok"] is False]


async def test_a_pipeline_without_services_is_not_healthy(gateway: Running) -> None:
    found = await gateway.get(PATH)
    assert (found["status"], found["alive"], found["instances"]) == ("critical", 0, [])
    assert failing(found) == ["no collector reports, so nothing is observed"]


async def test_services_that_work_are_healthy_and_one_that_is_killed_is_not(
    bus: Bus, server: NatsServer, gateway: Running, tmp_path: Path
) -> None:
    truth = Truth(bus)
    async with (
        running(truth.run()),
        ServiceProcess("topology-builder", server.url, tmp_path) as builder,
        ServiceProcess("health-scorer", server.url, tmp_path),
        reading(gateway) as reader,
    ):
        await truth.say(make_entity("cart-1"))

        async def is_healthy() -> Any:
            found = await gateway.get(PATH)
            marks = [each for each in found["instances"] if (each["heartbeat"] or {}).get("watermark")]
            return found if (found["status"], found["alive"], len(marks)) == ("healthy", 3, 2) else None

        found = await eventually(is_healthy, 60)
        assert found["text"] == "3 services on 3 instances report, and all is well"
        by_service = {each["service"]: each for each in found["instances"]}
        scorer = by_service["health-scorer"]
        assert (scorer["cluster"], scorer["instance"], scorer["is_ok"]) == ("test", "one", True)
        assert 0 <= scorer["age_s"] < 20
        assert scorer["heartbeat"]["watermark"].keys() >= {"KGENTS_TOPOLOGY"}
        assert scorer["heartbeat"]["cost"]["memory_bytes"] > 1_000_000
        assert {each["service"]: each["held"] for each in found["holdings"]} == {
            "health-scorer": {"one": ["test"]},
            "topology-builder": {"one": ["test"]},
        }

        builder.kill()

        async def is_noticed() -> Any:
            found = await gateway.get(PATH)
            silent = [each for each in found["instances"] if not each["is_alive"]]
            return (found, silent) if silent else None

        found, silent = await eventually(is_noticed, 60)
        assert found["status"] == "critical"
        assert any("topology-builder one has not reported" in each for each in failing(found))
        [row] = silent
        assert (row["service"], row["instance"], row["is_ok"], row["heartbeat"]) == (
            "topology-builder",
            "one",
            False,
            None,
        )
        assert row["age_s"] >= 15
        await eventually(lambda: _noticed(reader)[-1]["status"] == "critical")
        builder.start()
        found = await eventually(is_healthy, 60)
        await eventually(lambda: _noticed(reader)[-1] == {"status": "healthy", "text": found["text"]})

        truth.unread = [Unread(kind="pod", reason="pods: forbidden")]

        async def is_unread() -> Any:
            found = {each["service"]: each["heartbeat"] for each in (await gateway.get(PATH))["instances"]}
            return (found["collector-k8s"] or {}).get("unread")

        [scope] = await eventually(is_unread)
        assert (scope["kind"], scope["reason"]) == ("pod", "pods: forbidden")
        truth.attests = False

        async def has_no_collector() -> bool:
            return any("collector-k8s truth has not reported" in each for each in failing(await gateway.get(PATH)))

        await eventually(has_no_collector, 60)

        async def is_stale() -> bool:
            return any("no collector reports on the source k8s" in each for each in failing(await gateway.get(PATH)))

        await eventually(is_stale, 60)


def _noticed(reader: SseReader) -> list[dict[str, str]]:
    """What a client of the entity stream has heard of the pipeline."""
    return [reader.data("hello")[0]["pipeline"], *reader.data("pipeline")]


async def test_dead_letters_are_listed_without_what_was_in_them(bus: Bus, gateway: Running) -> None:
    letter = DeadLetter(
        text="a message cannot be read",
        subject="kgents.entity.test.k8s.pod.shop.cart",
        reason="expected JSON",
        evidence="KGENTS_ENTITY:7",
        payload_base64="c2VjcmV0",
        size_bytes=6,
    )
    await store(bus, "kgents.meta.test.topology-builder.dead-letter-entity-1", encode(letter))

    async def listed() -> Any:
        return (await gateway.get(PATH))["dead_letters"]

    [found] = await eventually(listed)
    assert (found["cluster"], found["service"], found["size_bytes"]) == ("test", "topology-builder", 6)
    assert found["evidence"] == "KGENTS_ENTITY:7"
    assert "c2VjcmV0" not in (await gateway.client.get(PATH)).text


async def test_an_event_that_cannot_be_read_is_a_dead_letter_and_those_behind_it_come(
    bus: Bus, gateway: Running
) -> None:
    async with reading(gateway, EVENTS) as reader:
        await store(bus, "kgents.event.test.k8s.pod.shop.cart-7f", b'{"text":"it has no id"}')
        await publish(bus, make_event(number=1))
        await eventually(lambda: len(reader.data("event")) == 1)

    async def listed() -> Any:
        return (await gateway.get(PATH))["dead_letters"]

    [found] = await eventually(listed)
    assert (found["service"], found["subject"]) == ("gateway", "kgents.event.test.k8s.pod.shop.cart-7f")
    assert found["evidence"] == "KGENTS_EVENT:1"


async def test_a_gateway_that_starts_writes_no_dead_letter_again_and_those_that_are_new(
    bus: Bus, gateway: Running
) -> None:
    subject = "kgents.event.test.k8s.pod.shop.cart-7f"

    async def letters() -> list[tuple[str, int]]:
        found = [each for each in (await gateway.gateway.streams.meta()).messages if "dead-letter" in each.subject]
        return sorted((each.subject, each.seq) for each in found)

    await store(bus, subject, b'{"text":"it has no id"}')
    first = await eventually(letters)
    await publish(bus, make_event(number=1))
    async with serving(bus) as second:
        async with reading(second, EVENTS, last=1) as reader:
            await eventually(lambda: reader.data("event"))
        await store(bus, subject, b'{"text":"nor has this one"}')

        async def has_two() -> list[tuple[str, int]] | None:
            return found if len(found := await letters()) == 2 else None

        assert set(await eventually(has_two)) > set(first)


async def test_what_is_no_heartbeat_is_named_and_stops_no_reader(bus: Bus, gateway: Running) -> None:
    for subject in ("kgents.meta.test.a$b.one", "kgents.meta.test.topology-builder.one", "kgents.meta.=FF.x.one"):
        await store(bus, subject, b'{"type":"heartbeat"}')

    async def named() -> Any:
        found = (await gateway.get(PATH))["findings"]
        return sum("cannot be read" in each["text"] for each in found) == 3

    await eventually(named)
    assert (await gateway.get("/api/v1/health"))["entities"] == 0


async def test_the_answer_is_about_the_clusters_that_were_asked_for(bus: Bus, gateway: Running) -> None:
    truth = Truth(bus)
    beat = encode(truth.heartbeat("degraded"))
    for cluster in ("prod", "dev"):
        await store(bus, f"kgents.meta.{cluster}.collector-k8s.truth", beat)

    async def both() -> bool:
        return bool((await gateway.get(PATH))["alive"] == 2)

    await eventually(both)
    found = await gateway.get(PATH, clusters="pr*")
    assert (found["alive"], [each["cluster"] for each in found["instances"]]) == (1, ["prod"])
    assert "dev" not in str(found)
    cut = await gateway.get(PATH, limit=1)
    assert (len(cut["instances"]), len(cut["findings"]), cut["is_cut"], cut["alive"]) == (1, 1, True, 2)
    assert (await gateway.client.get(PATH, params={"services": "x"})).status_code == 400
