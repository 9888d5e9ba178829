"""Waiting for one subject: until the server has it, whatever else waits."""

from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract.entity import Entity
from support.build import make_entity
from support.nats_server import NatsServer
from support.running import running
from support.waiting import stays_silent, within


async def test_it_returns_when_the_subject_is_published_and_at_once_if_it_is(
    writer: StateTable[Entity], publisher: Publisher
) -> None:
    entity = make_entity("one")
    subject = entity.ref.subject("entity", source="k8s")
    writer.put(subject, entity)
    async with within(10):
        await writer.published(subject)
        assert writer.rows[subject].message == entity
        writer.put(subject, entity)
        await writer.published(subject)
        await writer.published("kgents.entity.test.k8s.pod.shop.other")


async def test_it_waits_while_the_server_is_away(
    server: NatsServer, table: StateTable[Entity], publisher: Publisher
) -> None:
    entity = make_entity("one")
    subject = entity.ref.subject("entity", source="k8s")
    async with running(table.run()):
        server.kill()
        table.put(subject, entity)
        await stays_silent(table.published(subject), 0.5)
        await server.start()
        async with within(30):
            await table.published(subject)
        assert table.rows[subject].message == entity
