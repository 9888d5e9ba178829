"""What every collector shares: parts that replace only themselves, what is unread stays, and what is attested."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
from msgspec import structs

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig, Secret
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.unread import UNREAD_MAX, Unread
from kgents_shared.runtime.heartbeat import beat
from support.collecting import Collecting, collecting
from support.nats_server import NatsServer
from support.running import running
from support.streams import provision_streams, stored
from support.stretch import measured_stretch
from support.waiting import eventually, within

PULSE_SUBJECT = "kgents.pulse.test.nats.container.a.a1"
COUNT = 12_000
STRETCH_MAX = 20 * COUNT
"""Lines; replacing a part of so many entities in one go takes more than three times as many."""


@pytest.fixture
async def one(bus: Bus, tmp_path: Path) -> AsyncIterator[Collecting]:
    async with collecting(bus, tmp_path) as one:
        yield one


def entity(name: str, status: str = "running", *, part: str = "a", kind: str = "container") -> Entity:
    """One as it is published: with the sentence that the collector's way out gives it."""
    ref = Ref("test", kind, name, part)
    return Entity(text=f"{ref} is {status}", ref=ref, source="nats", uid=f"uid-{name}", part=part, status=status)


async def test_a_part_replaces_its_own_entities_alone(one: Collecting) -> None:
    await one.collector.publish(Facts([entity("a1"), entity("a2")]), "a")
    await one.collector.publish(Facts([entity("b1", part="b")]), "b")
    await one.collector.publish(Facts([entity("a2", "failed")]), "a")
    assert await one.published() == {"a2": "failed", "b1": "running"}


async def test_a_restart_publishes_nothing_and_removes_what_went_meanwhile(bus: Bus, tmp_path: Path) -> None:
    async with collecting(bus, tmp_path) as first:
        await first.collector.publish(Facts([entity("a1"), entity("a2")]), "a")
        await first.collector.publish(Facts([entity("b1", part="b")]), "b")
        count = await first.messages()
    async with collecting(bus, tmp_path) as second:
        assert set(second.collector.parts) == {"a", "b"}
        assert second.collector.published(entity("a1").ref) == entity("a1")
        await second.collector.publish(Facts([entity("a1"), entity("a2")]), "a")
        assert await second.messages() == count
        await second.collector.publish(Facts([entity("a1")]), "a")
        assert await second.published() == {"a1": "running", "b1": "running"}
        assert await second.messages() == count + 1


async def test_the_heartbeat_says_how_full_the_buffer_is_and_that_it_cannot_be_written(
    bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    async with collecting(bus, tmp_path, buffer_max_bytes=2_000) as one:
        await one.collector.publish(Facts([entity("a1")]), "a")
        await one.collector.collect_only(["a"])
        await one.published()
        server.kill()
        await eventually(lambda: not bus.is_connected)
        for number in range(50):
            one.context.log.publish(PULSE_SUBJECT, f"{number:0100}".encode())
        await eventually(lambda: one.heartbeat().spilled + one.heartbeat().evicted == 50)
        beat = one.heartbeat()
        assert 0 < beat.spilled_bytes <= beat.spilled_max_bytes == 2_000
        assert beat.spilled
        assert beat.evicted
        assert (beat.state, beat.reason) == ("in_sync", "")

        one.outbox.close()
        one.context.log.publish(PULSE_SUBJECT, b"0")
        await eventually(lambda: "buffer on disk cannot be written" in one.heartbeat().reason)
        await server.start()
        await eventually(lambda: one.heartbeat().reason == "" and one.heartbeat().spilled == 0)


async def test_what_is_unread_stays_as_it_was_and_is_named(one: Collecting) -> None:
    before = [entity("a1"), entity("a2"), entity("v1", kind="volume"), entity("v2", kind="volume")]
    await one.collector.collect_only(["a"])
    await one.collector.publish(Facts(before), "a")
    unread = [Unread(kind="volume", reason="volumes hang"), Unread(name="a2", reason="a2 hangs")]
    await one.collector.publish(Facts([entity("v2", "failed", kind="volume")], unread=unread), "a")
    assert await one.published() == {"a2": "running", "v1": "running", "v2": "failed"}
    beat = one.heartbeat()
    assert (beat.state, beat.reason) == ("degraded", "volumes hang; a2 hangs")
    assert [(each.kind, each.name, each.part) for each in beat.unread] == [("volume", "", "a"), ("", "a2", "a")]

    await one.collector.publish(Facts([], unread=[Unread(kind="volume", reason="volumes still hang")]), "a")
    assert one.heartbeat().unread[0].since == beat.unread[0].since is not None
    await one.collector.publish(Facts([]), "a")
    assert await one.published() == {}
    assert (one.heartbeat().state, one.heartbeat().unread) == ("in_sync", [])


async def test_what_another_part_cannot_read_keeps_nothing_here(one: Collecting) -> None:
    await one.collector.publish(Facts([entity("a1")]), "a")
    await one.collector.publish(Facts([], unread=[Unread(part="b")]), "a")
    assert await one.published() == {}


async def test_an_entity_that_goes_to_another_part_is_not_removed(one: Collecting) -> None:
    moved = structs.replace(entity("m", part="a"), part="")
    await one.collector.publish(Facts([moved]), "a")
    await one.collector.publish(Facts([moved]), "b")
    await one.collector.publish(Facts([]), "a")
    assert await one.published() == {"m": "running"}


async def test_in_sync_is_who_attests_every_part(one: Collecting) -> None:
    await one.collector.collect_only(["a", "b"])
    one.collector.attest("a")
    assert one.heartbeat().state == "starting"
    one.collector.attest("b", [Unread(reason="b is down")])
    assert (one.heartbeat().state, one.heartbeat().reason) == ("degraded", "b is down")
    one.collector.attest("b", faults=["no usage of b"])
    assert (one.heartbeat().state, one.heartbeat().reason) == ("in_sync", "no usage of b")


async def test_a_part_that_is_no_longer_collected_goes_with_its_entities_and_its_faults(one: Collecting) -> None:
    await one.collector.publish(Facts([entity("a1")]), "a")
    await one.collector.publish(Facts([entity("b1", part="b")], unread=[Unread(reason="b is half read")]), "b")
    await one.collector.collect_only(["a"])
    assert await one.published() == {"a1": "running"}
    assert one.heartbeat().state == "in_sync"
    await one.collector.collect_only([], if_none="nothing is configured")
    assert await one.published() == {}
    assert (one.heartbeat().state, one.heartbeat().reason) == ("in_sync", "nothing is configured")


async def test_every_entity_names_its_part_so_that_a_scope_can(one: Collecting) -> None:
    plain = structs.replace(entity("a1"), part="")
    await one.collector.publish(Facts([plain]), "a")
    await one.published()
    assert one.collector.published(plain.ref) == entity("a1", part="a")


async def test_a_part_that_was_never_read_is_unread_beside_one_that_cannot_be_read(one: Collecting) -> None:
    await one.collector.collect_only(["a", "b"])
    one.collector.attest("a", [Unread(reason="a is down")])
    assert [(each.part, each.reason) for each in one.heartbeat().unread] == [("a", "a is down"), ("b", "not read yet")]
    one.collector.attest("b")
    assert [each.part for each in one.heartbeat().unread] == ["a"]


async def test_single_entities_are_put_and_removed(one: Collecting) -> None:
    one.collector.put(entity("a1"))
    assert one.collector.desired(entity("a1").ref) == entity("a1")
    assert await one.published() == {"a1": "running"}
    one.collector.remove(entity("a1"))
    assert one.collector.desired(entity("a1").ref) is None
    assert await one.published() == {}


async def test_a_large_part_is_replaced_in_slices(one: Collecting) -> None:
    everything = Facts([entity(f"a{number}") for number in range(COUNT)])
    async with measured_stretch() as stretch:
        await one.collector.publish(everything, "a")
        await one.collector.publish(everything, "a")
        await one.collector.publish(Facts([], unread=[Unread(name=f"a{number}") for number in range(8)]), "a")
        await one.collector.publish(everything, "a")
        await one.collector.collect_only(["b"])
    assert stretch.longest < STRETCH_MAX


async def test_a_heartbeat_names_a_bounded_number_of_scopes(one: Collecting) -> None:
    one.collector.attest("", [Unread("container", "shop", f"c{number}", reason="hangs") for number in range(1000)])
    assert len(one.heartbeat().unread) == 1 <= UNREAD_MAX
    assert one.heartbeat().unread[0].namespace == "shop"


async def test_what_may_not_be_published_is_unread_and_the_rest_attested(tmp_path: Path) -> None:
    config = (
        'authorization { users: [ { user: admin, password: "admin-password" }, { user: collector, '
        'password: "collector-password", permissions: { publish: { deny: ["kgents.entity.*.*.volume.>"] } } } ] }'
    )
    async with NatsServer(tmp_path / "nats", config=config) as server:
        admin = NatsConfig(url=server.url, user="admin", password=Secret("admin-password"))
        async with Bus(admin, name="admin") as bus:
            await provision_streams(bus)
        login = NatsConfig(url=server.url, user="collector", password=Secret("collector-password"))
        async with Bus(login, name="collector-nats") as bus, collecting(bus, tmp_path) as one:
            await one.collector.publish(Facts([entity("a1"), entity("v1", kind="volume")]), "a")
            await one.collector.collect_only(["a"])

            def is_named() -> bool:
                return one.heartbeat().state == "degraded"

            await eventually(is_named)
            beat = one.heartbeat()
            assert [(each.kind, each.namespace, each.name) for each in beat.unread] == [("volume", "a", "v1")]
            assert "permissions violation" in beat.unread[0].reason.lower()
            assert "kgents.entity.test.nats.volume.a.v1" in beat.reason
            assert [row.message.ref.name for row in one.collector.entities.rows.values()] == ["a1"]

            await one.collector.publish(Facts([entity("a1")]), "a")
            await eventually(lambda: one.heartbeat().state == "in_sync")


async def test_what_is_put_is_attested_once_it_is_stored(one: Collecting, bus: Bus) -> None:
    """While thousands of entities are on their way, a heartbeat that attests them would call what is missing gone."""
    number = 3_000
    status = one.context.status

    async def beats() -> None:
        async for _ in status.due():
            await beat(one.context.publisher, "test", status, one.context.clock.now())

    await one.collector.collect_only(["a"])
    async with running(beats()):
        await one.collector.publish(Facts([entity(f"a{each}") for each in range(number)]), "a")
        assert "messages wait for NATS to store them" in one.heartbeat().reason
        await eventually(lambda: one.heartbeat().state == "in_sync")
        reported = await eventually(lambda: _attesting(bus))
    entities = await stored(bus, "KGENTS_ENTITY")
    assert len(entities) == number
    assert max(each.time_ns for each in entities) <= reported.time_ns


async def test_what_waits_for_long_is_attested_no_longer(one: Collecting, server: NatsServer) -> None:
    """A server that stands still takes nothing, and says nothing of it."""
    await one.collector.collect_only(["a"])
    await one.collector.publish(Facts([entity("a1")]), "a")
    await one.published()
    server.pause()
    await one.collector.publish(Facts([entity("a1", "failed")]), "a")
    assert one.heartbeat().state == "in_sync"
    await eventually(lambda: one.heartbeat().state == "syncing")
    server.resume()
    assert await one.published() == {"a1": "failed"}
    assert one.heartbeat().state == "in_sync"


async def test_what_changes_all_the_time_is_stored_all_the_time(one: Collecting) -> None:
    """A subject of which another message waits whenever one is stored is no backlog."""
    await one.collector.collect_only(["a"])
    await one.collector.publish(Facts([entity("a1")]), "a")
    await one.published()
    waits: set[float | None] = set()
    async with within(20):
        for number in count():
            one.collector.put(entity("a1", f"status-{number}"))
            waits.add(one.collector.entities.waits_since_s)
            if len(waits) > 5:
                break
            await asyncio.sleep(0)
    assert None not in waits


async def _attesting(bus: Bus) -> Delivery | None:
    """The first heartbeat that says that all is published."""
    beats = await stored(bus, "KGENTS_META", "kgents.meta.test.collector-nats.one")
    return next((each for each in beats if b'"state":"in_sync"' in each.payload), None)
