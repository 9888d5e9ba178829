"""What every collector shares: parts that replace only themselves, what is unread stays, and what is attested."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs

from kgents_collector_nats.config import Config
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig, Secret
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.outbox import Outbox
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.unread import UNREAD_MAX, Unread
from kgents_shared.runtime.collector import Collector
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.runtime.sections import TelemetryConfig
from kgents_shared.runtime.service import Context, Service
from kgents_shared.runtime.telemetry import Telemetry
from support.in_process import lasting_leases
from support.nats_server import NatsServer
from support.running import running
from support.streams import provision_streams
from support.waiting import eventually

SERVICE = Service(name="collector-nats", config=Config, run=lambda _: None, source="nats")  # type: ignore[arg-type,return-value]


class Running:
    """A collector at work, in the test's own process."""

    def __init__(self, context: Context[Config], collector: Collector) -> None:
        self.context = context
        self.collector = collector

    async def published(self) -> dict[str, str]:
        """Entity → status, when everything has arrived."""
        await self.collector.entities.flush()
        return {row.message.ref.name: row.message.status for row in self.collector.entities.rows.values()}

    async def messages(self) -> int:
        """How many messages the entity stream has taken so far."""
        await self.collector.entities.flush()
        return (await stream_info(await self.context.bus.session(), "KGENTS_ENTITY")).last_seq

    def heartbeat(self) -> Heartbeat:
        return self.context.status.heartbeat(0, 0.0)


@asynccontextmanager
async def collecting(bus: Bus, folder: Path) -> AsyncIterator[Running]:
    telemetry = Telemetry(TelemetryConfig(), service=SERVICE.name, version="0", instance="one")
    common = CommonConfig(cluster="test", instance="one", nats=NatsConfig())
    with lasting_leases(), Outbox(folder / "outbox") as outbox:
        context = Context(SERVICE, common, Config(), bus, telemetry, outbox)
        async with running(context.publisher.run()), running(context.log.run()):
            await context.lease.acquire()
            async with running(context.lease.hold()):
                collector = Collector(context, part_of=lambda entity: entity.ref.namespace)
                await collector.load()
                async with running(collector.run()):
                    yield Running(context, collector)
            await context.lease.release()
    telemetry.shutdown()


@pytest.fixture
async def one(bus: Bus, tmp_path: Path) -> AsyncIterator[Running]:
    async with collecting(bus, tmp_path) as running_:
        yield running_


def entity(name: str, status: str = "running", *, part: str = "a", kind: str = "container") -> Entity:
    """One as it is published: with the sentence that the collector's way out gives it."""
    ref = Ref("test", kind, name, part)
    return Entity(text=f"{ref} is {status}", ref=ref, source="nats", uid=f"uid-{name}", part=part, status=status)


async def test_a_part_replaces_its_own_entities_alone(one: Running) -> None:
    one.collector.publish(Facts([entity("a1"), entity("a2")]), "a")
    one.collector.publish(Facts([entity("b1", part="b")]), "b")
    one.collector.publish(Facts([entity("a2", "failed")]), "a")
    assert await one.published() == {"a2": "failed", "b1": "running"}


async def test_a_restart_publishes_nothing_and_removes_what_went_meanwhile(bus: Bus, tmp_path: Path) -> None:
    async with collecting(bus, tmp_path) as first:
        first.collector.publish(Facts([entity("a1"), entity("a2")]), "a")
        first.collector.publish(Facts([entity("b1", part="b")]), "b")
        count = await first.messages()
    async with collecting(bus, tmp_path) as second:
        assert set(second.collector.parts) == {"a", "b"}
        assert second.collector.published(entity("a1").ref) == entity("a1")
        second.collector.publish(Facts([entity("a1"), entity("a2")]), "a")
        assert await second.messages() == count
        second.collector.publish(Facts([entity("a1")]), "a")
        assert await second.published() == {"a1": "running", "b1": "running"}
        assert await second.messages() == count + 1


async def test_what_is_unread_stays_as_it_was_and_is_named(one: Running) -> None:
    before = [entity("a1"), entity("a2"), entity("v1", kind="volume"), entity("v2", kind="volume")]
    one.collector.collect_only(["a"])
    one.collector.publish(Facts(before), "a")
    unread = [Unread(kind="volume", reason="volumes hang"), Unread(name="a2", reason="a2 hangs")]
    one.collector.publish(Facts([entity("v2", "failed", kind="volume")], unread=unread), "a")
    assert await one.published() == {"a2": "running", "v1": "running", "v2": "failed"}
    beat = one.heartbeat()
    assert (beat.state, beat.reason) == ("degraded", "volumes hang; a2 hangs")
    assert [(each.kind, each.name, each.part) for each in beat.unread] == [("volume", "", "a"), ("", "a2", "a")]

    one.collector.publish(Facts([], unread=[Unread(kind="volume", reason="volumes still hang")]), "a")
    assert one.heartbeat().unread[0].since == beat.unread[0].since is not None
    one.collector.publish(Facts([]), "a")
    assert await one.published() == {}
    assert (one.heartbeat().state, one.heartbeat().unread) == ("in_sync", [])


async def test_what_another_part_cannot_read_keeps_nothing_here(one: Running) -> None:
    one.collector.publish(Facts([entity("a1")]), "a")
    one.collector.publish(Facts([], unread=[Unread(part="b")]), "a")
    assert await one.published() == {}


async def test_an_entity_that_goes_to_another_part_is_not_removed(one: Running) -> None:
    moved = structs.replace(entity("m", part="a"), part="")
    one.collector.publish(Facts([moved]), "a")
    one.collector.publish(Facts([moved]), "b")
    one.collector.publish(Facts([]), "a")
    assert await one.published() == {"m": "running"}


async def test_in_sync_is_who_attests_every_part(one: Running) -> None:
    one.collector.collect_only(["a", "b"])
    one.collector.attest("a")
    assert one.heartbeat().state == "starting"
    one.collector.attest("b", [Unread(reason="b is down")])
    assert (one.heartbeat().state, one.heartbeat().reason) == ("degraded", "b is down")
    one.collector.attest("b", faults=["no usage of b"])
    assert (one.heartbeat().state, one.heartbeat().reason) == ("in_sync", "no usage of b")


async def test_a_part_that_is_no_longer_collected_goes_with_its_entities_and_its_faults(one: Running) -> None:
    one.collector.publish(Facts([entity("a1")]), "a")
    one.collector.publish(Facts([entity("b1", part="b")], unread=[Unread(reason="b is half read")]), "b")
    one.collector.collect_only(["a"])
    assert await one.published() == {"a1": "running"}
    assert one.heartbeat().state == "in_sync"
    one.collector.collect_only([], if_none="nothing is configured")
    assert await one.published() == {}
    assert (one.heartbeat().state, one.heartbeat().reason) == ("in_sync", "nothing is configured")


async def test_every_entity_names_its_part_so_that_a_scope_can(one: Running) -> None:
    plain = structs.replace(entity("a1"), part="")
    one.collector.publish(Facts([plain]), "a")
    await one.published()
    assert one.collector.published(plain.ref) == entity("a1", part="a")


async def test_a_part_that_was_never_read_is_unread_beside_one_that_cannot_be_read(one: Running) -> None:
    one.collector.collect_only(["a", "b"])
    one.collector.attest("a", [Unread(reason="a is down")])
    assert [(each.part, each.reason) for each in one.heartbeat().unread] == [("a", "a is down"), ("b", "not read yet")]
    one.collector.attest("b")
    assert [each.part for each in one.heartbeat().unread] == ["a"]


async def test_single_entities_are_put_and_removed(one: Running) -> None:
    one.collector.put(entity("a1"))
    assert one.collector.desired(entity("a1").ref) == entity("a1")
    assert await one.published() == {"a1": "running"}
    one.collector.remove(entity("a1"))
    assert one.collector.desired(entity("a1").ref) is None
    assert await one.published() == {}


async def test_a_heartbeat_names_a_bounded_number_of_scopes(one: Running) -> None:
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
            one.collector.publish(Facts([entity("a1"), entity("v1", kind="volume")]), "a")
            one.collector.collect_only(["a"])

            def is_named() -> bool:
                return one.heartbeat().state == "degraded"

            await eventually(is_named)
            beat = one.heartbeat()
            assert [(each.kind, each.namespace, each.name) for each in beat.unread] == [("volume", "a", "v1")]
            assert "permissions violation" in beat.unread[0].reason.lower()
            assert "kgents.entity.test.nats.volume.a.v1" in beat.reason
            assert [row.message.ref.name for row in one.collector.entities.rows.values()] == ["a1"]

            one.collector.publish(Facts([entity("a1")]), "a")
            await eventually(lambda: one.heartbeat().state == "in_sync")
