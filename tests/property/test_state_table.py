"""The law of the state table: whatever happens, the stream ends as the writer wants it, and nothing is said twice."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from kgents_shared.bus import compression, state_audit
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
from support.waiting import eventually, within

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


def as_encoded(entity: Entity) -> bytes:
    return encode(entity)


def of_a_newer_version(entity: Entity) -> bytes:
    return b'{"newer":{"op":"remove"},%b' % encode(entity)[1:]


def of_another_program(entity: Entity) -> bytes:
    return msgspec.json.format(msgspec.json.encode(entity, order="sorted"))


def unreadable(entity: Entity) -> bytes:
    return encode(entity).replace(b'"status":', b'"status":7,"old":')


def of_another_subject(entity: Entity) -> bytes:
    return encode(structs.replace(entity, ref=structs.replace(entity.ref, name="other")))


def removed(entity: Entity) -> bytes:
    return encode(make_removal(entity))


written = st.dictionaries(
    keys,
    st.tuples(
        st.sampled_from((as_encoded, of_a_newer_version, of_another_program, unreadable, of_another_subject, removed)),
        st.sampled_from(STATUSES),
    ),
)
wanted = st.lists(st.dictionaries(keys, st.sampled_from((*STATUSES, "gone"))), max_size=3)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=written, wanted=wanted)
@example(written={"a": (of_a_newer_version, "running"), "b": (as_encoded, "failed")}, wanted=[{"a": "running"}])
@example(written={"a": (unreadable, "running"), "b": (removed, "failed")}, wanted=[{"a": "running", "b": "failed"}])
@pytest.mark.timeout(300)
def test_a_table_that_compares_bytes_publishes_what_one_that_compares_messages_does(
    server: NatsServer,
    monkeypatch: pytest.MonkeyPatch,
    written: dict[str, tuple[Callable[[Entity], bytes], str]],
    wanted: list[dict[str, str]],
) -> None:
    monkeypatch.setattr(compression, "PLAIN_BYTES", 500)

    async def published(*, is_packed: bool) -> list[tuple[str, str, bytes]]:
        """What it publishes over what another program has written: name, its expected sequence, payload."""
        async with Bus(NatsConfig(url=server.url), name="writer") as bus:
            writer = Writer(bus, bus, next(clusters))
            if is_packed:
                writer.table.compress_rows(lambda entity: entity.ref.kind)
            session = await bus.session()
            for key, (form, status) in written.items():
                await session.request(writer.subject(key), form(writer.entity(key, status)))
            sent: list[tuple[str, str, bytes]] = []
            send = writer.publisher.send

            async def note(subject: str, payload: bytes, headers: dict[str, str], done: Callable[..., None]) -> None:
                seq = headers["Nats-Expected-Last-Subject-Sequence"]
                sent.append((subject.rpartition(".")[2], "0" if seq == "0" else "known", payload))
                await send(subject, payload, headers, done)

            monkeypatch.setattr(writer.publisher, "send", note)
            await writer.table.load()
            async with running(writer.publisher.run(), writer.table.run()):
                for step in wanted:
                    for key, status in step.items():
                        if status != "gone":
                            writer.table.put(writer.subject(key), writer.entity(key, status))
                        elif (row := writer.table.rows.get(writer.subject(key))) is not None:
                            writer.table.remove(writer.subject(key), make_removal(row.message))
                    async with within(10):
                        await writer.table.flush()
            return [(name, seq, payload.replace(writer.cluster.encode(), b"")) for name, seq, payload in sent]

    plain = asyncio.run(published(is_packed=False))
    assert asyncio.run(published(is_packed=True)) == plain
