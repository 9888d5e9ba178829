"""topology-builder under kill -9, pauses and a dying server: G1, G2, G4, G5, G7."""

import asyncio
import random
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Entity
from kgents_topology_builder.reducer import Reducer
from support.build import NOW_NS, connect_to, make_entity, make_ref, make_removal, subject_of
from support.nats_server import NatsServer
from support.service_process import ServiceProcess
from support.streams import stored
from support.truth import Truth, dead_letters, heartbeat, in_sync, last_seq, topology
from support.waiting import eventually, stays

pytestmark = pytest.mark.timeout(180)
BUILDER = "topology-builder"


async def has_last_seq(bus: Bus, seq: int) -> bool:
    return await last_seq(bus, "KGENTS_TOPOLOGY") == seq


async def equals_truth(bus: Bus, truth: Truth) -> bool:
    """Whether the published topology is the fold of the truth, edges included."""
    reducer = Reducer((), now_ns=NOW_NS)
    for entity in truth.entities.values():
        reducer.upsert(entity, time_ns=NOW_NS)
    expected = {
        merged.ref: (merged.entity.status, [edge.peer for edge in merged.entity.connections])
        for merged in reducer.take()
        if merged.entity
    }
    found = {
        ref: (entity.status, [edge.peer for edge in entity.connections])
        for ref, entity in (await topology(bus)).items()
    }
    return expected == found


@pytest.mark.parametrize("death", ["stop", "kill"])
async def test_a_restart_while_nothing_changes_publishes_nothing(
    bus: Bus, server: NatsServer, truth: Truth, tmp_path: Path, death: str
) -> None:
    async with ServiceProcess(BUILDER, server.url, tmp_path) as builder:
        await truth.say(make_entity("a", connections=[connect_to(make_ref("b"))]), make_entity("b"))
        await eventually(lambda: equals_truth(bus, truth))
        await in_sync(bus, BUILDER)
        published = await last_seq(bus, "KGENTS_TOPOLOGY")
        if death == "stop":
            assert await builder.stop() == 0
        else:
            builder.kill()
        first = await heartbeat(bus, BUILDER)
        builder.start()

        async def is_back() -> bool:
            beat = await heartbeat(bus, BUILDER)
            return (
                beat is not None and beat.state == "in_sync" and (first is None or beat.started_at != first.started_at)
            )

        await eventually(is_back)
        await truth.say(make_entity("marker"))  # everything before the marker has been dealt with
        await eventually(lambda: equals_truth(bus, truth))

    assert await last_seq(bus, "KGENTS_TOPOLOGY") == published + 1


async def test_what_vanishes_while_the_builder_is_down_is_removed_when_it_is_back(
    bus: Bus, server: NatsServer, truth: Truth, tmp_path: Path
) -> None:
    ghost = make_entity("ghost")
    async with ServiceProcess(BUILDER, server.url, tmp_path) as builder:
        await truth.say(ghost, make_entity("stays"))
        await eventually(lambda: equals_truth(bus, truth))
        builder.kill()
        await truth.unsay(ghost)
        await truth.say(make_entity("newcomer"))
        builder.start()
        await eventually(lambda: equals_truth(bus, truth))

    assert make_ref("ghost") not in await topology(bus)


async def test_a_second_instance_stands_by_and_takes_over_without_doubling(
    bus: Bus, server: NatsServer, truth: Truth, tmp_path: Path
) -> None:
    async with ServiceProcess(BUILDER, server.url, tmp_path) as active:
        await in_sync(bus, BUILDER)
        async with ServiceProcess(BUILDER, server.url, tmp_path, instance="two") as standby:

            async def stands_by() -> bool:
                beat = await heartbeat(bus, BUILDER, "two")
                return beat is not None and beat.state == "standby"

            await eventually(stands_by)
            await truth.say(make_entity("a"))
            await eventually(lambda: equals_truth(bus, truth))
            assert await last_seq(bus, "KGENTS_TOPOLOGY") == 1

            active.pause()
            await in_sync(bus, BUILDER, "two")
            await truth.say(make_entity("a", status="failed"), make_entity("b"))
            await eventually(lambda: equals_truth(bus, truth))
            active.resume()  # a zombie: it wakes up believing that it still writes
            await truth.say(make_entity("c"))
            await eventually(lambda: equals_truth(bus, truth))
            await stays(lambda: has_last_seq(bus, 4), for_s=2)
            assert await standby.stop() == 0


async def test_a_poison_message_becomes_a_dead_letter_and_the_builder_goes_on(
    bus: Bus, server: NatsServer, truth: Truth, tmp_path: Path
) -> None:
    async with ServiceProcess(BUILDER, server.url, tmp_path) as builder:
        await in_sync(bus, BUILDER)
        session = await bus.session()
        await session.request("kgents.entity.test.custom.pod.shop.poison", b'{"ref": "hunter2"}')
        await session.request("kgents.entity.test.custom.pod.shop.rubbish", b"\xff\x00")
        foreign = make_entity("x", source="custom", ref=make_ref("x", cluster="another"), report_interval_s=60.0)
        await session.request("kgents.entity.test.custom.pod.shop.x", encode(foreign))
        too_late = (
            b'{"ref": {"cluster": "test", "kind": "pod", "name": "f"}, "source": "s", "report_interval_s": 1e308}'
        )
        await session.request("kgents.entity.test.s.pod._.f", too_late)
        await session.request("kgents.meta.test.custom.rubbish", b'{"type": "heartbeat"}')
        await session.request("kgents.meta.=zz.collector-k8s.truth", encode(truth.heartbeat("in_sync")))
        await session.request("kgents.meta.test.collector-k8s.other", encode(truth.heartbeat("in_sync")))
        await truth.say(make_entity("a"))
        await eventually(lambda: equals_truth(bus, truth))

        async def six_letters() -> bool:
            found = await dead_letters(bus, BUILDER)
            return len(found) == 6

        await eventually(six_letters)
        assert {letter.payload_base64 for letter in await dead_letters(bus, BUILDER)} == {""}
        assert not any(b"hunter2" in each.payload for each in await stored(bus, "KGENTS_META"))
        assert b"hunter2" not in builder.log.read_bytes()

        async def counted() -> bool:
            beat = await heartbeat(bus, BUILDER)
            return beat is not None and beat.dead_letters == 6

        await eventually(counted)
        await eventually(lambda: "unreadable_cluster" in builder.log.read_text())  # =zz: no cluster is called so


@pytest.mark.parametrize("death", ["none", "kill"])
async def test_an_entity_stays_though_its_message_does_not_say_that_it_is_gone(
    bus: Bus, server: NatsServer, tmp_path: Path, death: str
) -> None:
    """An unreadable message, and the late removal of an earlier incarnation; also for a builder that starts then."""
    poisoned, late = (make_entity(name, source="billing", report_interval_s=3600.0) for name in ("poisoned", "late"))
    session = await bus.session()

    async def holds(*expected: Entity) -> bool:
        return (await topology(bus)).keys() == {each.ref for each in expected}

    async with ServiceProcess(BUILDER, server.url, tmp_path) as builder:
        for entity in (poisoned, late):
            await session.request(subject_of(entity), encode(entity))
        await eventually(lambda: holds(poisoned, late))
        if death == "kill":
            builder.kill()
        await session.request(subject_of(poisoned), b"\xff")
        earlier = make_removal(make_entity("late", source="billing", uid="earlier"))
        await session.request(subject_of(late), encode(earlier))
        if death == "kill":
            builder.start()

        async def is_dead_letter() -> bool:
            return len(await dead_letters(bus, BUILDER)) == 1

        await eventually(is_dead_letter)
        await in_sync(bus, BUILDER)
        await stays(lambda: holds(poisoned, late), for_s=3)
        await session.request(subject_of(late), encode(make_removal(late)))
        await eventually(lambda: holds(poisoned))
        await session.request(subject_of(poisoned), encode(make_removal(poisoned)))
        await eventually(holds)


async def test_the_topology_converges_after_any_sequence_of_faults(
    bus: Bus, server: NatsServer, truth: Truth, tmp_path: Path
) -> None:
    dice = random.Random(7)
    async with ServiceProcess(BUILDER, server.url, tmp_path) as builder:
        await in_sync(bus, BUILDER)
        for round_ in range(8):
            for _ in range(200):
                name = f"p{dice.randrange(60)}"
                entity = make_entity(
                    name,
                    status=dice.choice(["running", "failed"]),
                    connections=[connect_to(make_ref(f"p{dice.randrange(60)}"))],
                )
                if dice.random() < 0.3 and subject_of(entity) in truth.entities:
                    truth.unsay_soon(truth.entities[subject_of(entity)])
                else:
                    truth.say_soon(entity)
                if dice.random() < 0.05:
                    await asyncio.sleep(0.01)
            match round_ % 4:
                case 0:
                    server.kill()
                    await server.start()
                case 1:
                    builder.kill()
                    builder.start()
                case 2:
                    await server.stop()
                    await asyncio.sleep(0.3)
                    await server.start()
                case _:
                    builder.pause()
                    await asyncio.sleep(0.3)
                    builder.resume()
        await truth.settle()
        await eventually(lambda: equals_truth(bus, truth), within_s=60)
