"""The law of the state table: whatever happens, the stream ends as the writer wants it, and nothing is said twice."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kgents_shared.bus import state_audit
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.errors import SteppedDownError
from support.build import make_entity, make_removal
from support.nats_server import NatsServer
from support.running import running
from support.streams import provision_streams
from support.waiting import eventually

KEYS = ("a", "b", "c.d")
STATUSES = ("running", "failed", "pending")

keys = st.sampled_from(KEYS)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, st.sampled_from(STATUSES)),
        st.tuples(st.just("remove"), keys),
        st.tuples(st.just("settle")),
        st.tuples(st.just("restart")),
        st.tuples(st.just("cut")),
        st.tuples(st.just("foreign"), keys, st.sampled_from(STATUSES)),
    ),
    max_size=20,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(Path(tmp_path_factory.mktemp("nats")))

    async def start() -> None:
        await server.start()
        async with Bus(NatsConfig(url=server.url), name="setup") as bus:
            await provision_streams(bus)

    asyncio.run(start())
    yield server
    server.kill()


clusters = (f"example-{number}" for number in itertools.count())


class Writer:
    """A service as small as can be: it wants `model` on the stream, and starts over when another process writes."""

    def __init__(self, bus: Bus, outside: Bus, cluster: str) -> None:
        self.bus = bus
        self.outside = outside  # its connection is never cut
        self.cluster = cluster
        self.filters = [subjects.pattern("entity", cluster=cluster, source="k8s")]
        self.publisher = Publisher(bus)
        self.model: dict[str, Entity] = {}
        self.table = self.new_table()
        self.task: asyncio.Task[None] | None = None

    def new_table(self) -> StateTable[Entity]:
        return StateTable(self.bus, ENTITY, "KGENTS_ENTITY", self.filters, publisher=self.publisher)

    def entity(self, key: str, status: str) -> Entity:
        return make_entity(key, status=status, ref=Ref(self.cluster, "pod", key, "shop"))

    def subject(self, key: str) -> str:
        return Ref(self.cluster, "pod", key, "shop").subject("entity", source="k8s")

    async def serve(self) -> None:
        while True:
            table = self.new_table()
            await table.load()
            for subject, entity in self.model.items():
                table.put(subject, entity)
            for subject in table.rows.keys() - self.model.keys():
                table.remove(subject, make_removal(table.rows[subject].message))
            self.table = table
            writing = asyncio.create_task(table.run())
            try:
                await asyncio.wait([writing])  # not `await writing`: a group that fails while cancelled hides that
            finally:
                writing.cancel()
            try:
                writing.result()
            except* SteppedDownError:
                pass

    async def restart(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
        self.task = asyncio.create_task(self.serve())

    def is_acknowledged(self) -> bool:
        """Whether nothing waits, or was stored and is not known to be: others see a message before its ack is here."""
        return not self.table.backlog and not self.publisher._in_flight

    async def fold(self) -> dict[str, Entity]:
        reader = StateView(self.outside, ENTITY, "KGENTS_ENTITY", self.filters)
        await reader.load()
        return {subject: row.message for subject, row in reader.rows.items()}

    async def converge(self) -> None:
        async def is_the_model() -> bool:
            return await self.fold() == self.model

        await eventually(is_the_model)


async def carry_out(writer: Writer, operation: tuple[str, ...]) -> None:
    match operation:
        case ("put", key, status):
            entity = writer.entity(key, status)
            writer.model[writer.subject(key)] = entity
            writer.table.put(writer.subject(key), entity)
        case ("remove", key):
            gone = writer.model.pop(writer.subject(key), None)
            if gone is not None:
                writer.table.remove(writer.subject(key), make_removal(gone))
        case ("settle",):
            await writer.converge()
        case ("restart",):
            await writer.restart()
        case ("cut",):
            session = await writer.bus.session()
            transport: Any = session._client._transport
            transport.close()
        case ("foreign", key, status):
            session = await writer.outside.session()
            await session.request(writer.subject(key), encode(writer.entity(key, f"{status}-by-another-writer")))
        case _:
            raise AssertionError(operation)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=operations)
@example(operations=[("put", "a", "running"), ("settle",), ("foreign", "a", "failed"), ("put", "c.d", "running")])
@pytest.mark.timeout(300)
def test_any_interleaving_ends_in_the_model(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch, operations: list[tuple[str, ...]]
) -> None:
    monkeypatch.setattr(state_audit, "AUDIT_INTERVAL_S", 0.1)

    async def scenario() -> None:
        async with (
            Bus(NatsConfig(url=server.url), name="writer") as bus,
            Bus(NatsConfig(url=server.url), name="outside") as outside,
        ):
            writer = Writer(bus, outside, next(clusters))
            async with running(writer.publisher.run()):
                await writer.restart()
                for operation in operations:
                    await carry_out(writer, operation)
                await writer.converge()
                await eventually(writer.is_acknowledged)
                stored = writer.publisher.stored
                await writer.restart()
                await asyncio.sleep(0.05)
                await writer.converge()
                assert writer.publisher.stored == stored, "a restart without news published something"
                assert writer.task is not None
                writer.task.cancel()
                await asyncio.wait([writer.task])

    asyncio.run(scenario())
