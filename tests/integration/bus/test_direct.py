"""The short way through nats-py on a real server, and nats-py's own where the short one is not supported."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from kgents_shared.bus import direct
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.direct import DirectParser
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract.codec import ENTITY
from kgents_shared.contract.subjects import pattern
from support.build import make_entity, subject_of
from support.nats_server import NatsServer
from support.running import running
from support.streams import provision_streams
from support.waiting import eventually, within

COUNT = 2_000

Found = list[tuple[str, bytes, dict[str, str] | None]]


@pytest.fixture(params=[True, False], ids=["short", "nats-py's"])
async def bus(request: pytest.FixtureRequest, nats: NatsServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    if not request.param:
        monkeypatch.setattr(direct, "REQUIRED", ((DirectParser, "what a later release renamed", ()),))
    async with Bus(NatsConfig(url=nats.url), name="direct") as bus:
        assert isinstance((await bus.session())._client._ps, DirectParser) == request.param
        yield bus


def collector(found: Found) -> direct.Receiver:
    return lambda subject, reply, payload, headers: found.append((reply, payload, headers))


async def test_messages_arrive_whole_and_in_order_until_the_receiver_leaves(bus: Bus) -> None:
    session, found = await bus.session(), list[tuple[str, bytes, dict[str, str] | None]]()
    leave = await session.receive("some.*", collector(found))
    client = session._client
    assert (client._attached is not None) == isinstance(client._ps, DirectParser), "without nats-py's task"
    sent: Found = [
        ("a.reply" if number % 3 else "", b"x" * (number * 37 % 9_000), {"Number": f"{number}"} if number % 2 else None)
        for number in range(COUNT)
    ]
    for reply, payload, headers in sent:
        await session.publish("some.one", payload, reply=reply, headers=headers)
    await eventually(lambda: len(found) == COUNT, 30)
    assert found == sent

    for _ in range(COUNT):  # on their way when the server is asked to send no more
        await session.publish("some.one", b"too late")
    await leave()
    seen = len(found)
    await session.request("$SYS.REQ.USER.INFO")
    assert len(found) == seen


async def test_a_receiver_that_fails_costs_its_message_alone(bus: Bus) -> None:
    session, found = await bus.session(), list[bytes]()

    def take(_subject: str, _reply: str, payload: bytes, _headers: dict[str, str] | None) -> None:
        if payload == b"1":
            raise ValueError(payload)
        found.append(payload)

    await session.receive("one", take)
    await session.publish("one", b"0")
    await eventually(lambda: found == [b"0"], 10)
    for payload in (b"1", b"2"):  # nothing else is on its way by now that would take them along
        await session.publish("one", payload)
    await eventually(lambda: found == [b"0", b"2"], 5)  # a ping after 10 s would take them along, too
    assert bus.is_connected


async def test_state_is_published_and_read_either_way(bus: Bus) -> None:
    await provision_streams(bus)
    publisher, entities = Publisher(bus), [make_entity(f"p{number}") for number in range(1_200)]
    async with running(publisher.run()):
        writer, reader = (
            StateTable(bus, ENTITY, "KGENTS_ENTITY", [pattern("entity", cluster="test")], publisher=publisher)
            for _ in range(2)
        )
        await writer.load()
        async with running(writer.run()), within(60):
            for reason in ("first", "second"):
                for entity in entities:
                    writer.put(subject_of(entity), msgspec.structs.replace(entity, reason=reason))
                await writer.flush()
        await reader.load()
    assert len(reader.rows) == len(entities)
    assert {row.message.reason for row in reader.rows.values()} == {"second"}
    assert publisher.stored == 2 * len(entities)


async def test_subscriptions_of_both_kinds_share_a_connection(bus: Bus) -> None:
    session, directly, plainly = await bus.session(), list[tuple[str, bytes, dict[str, str] | None]](), list[bytes]()
    arrived = asyncio.Event()

    async def take(message: object) -> None:
        plainly.append(message.data)  # type: ignore[attr-defined]
        arrived.set()

    await session.receive("both", collector(directly))
    await session.subscribe("both", take)
    await session.publish("both", b"x")
    async with within(10):
        await arrived.wait()
    await eventually(lambda: [payload for _, payload, _ in directly] == [b"x"], 10)
    assert plainly == [b"x"]


async def test_a_bus_that_rests_reads_what_came_meanwhile_together_and_an_answer_at_once(nats: NatsServer) -> None:
    config, found = NatsConfig(url=nats.url), list[bytes]()
    async with Bus(config, name="resting") as resting, Bus(config, name="writer") as writer:
        session, other = await resting.session(), await writer.session()
        await session.receive("one", lambda _subject, _reply, payload, _headers: found.append(payload))
        await session.request("$SYS.REQ.USER.INFO")
        resting.rest_s = 60.0

        async def send(payload: bytes) -> None:
            await other.publish("one", payload)
            await other.request("$SYS.REQ.USER.INFO")  # the server has dealt with it

        await send(b"0")
        await eventually(lambda: found == [b"0"])
        await send(b"1")
        await send(b"2")
        assert found == [b"0"], "it rests since the first"
        async with within(20):
            await session.request("$SYS.REQ.USER.INFO")
        assert found == [b"0", b"1", b"2"]
        resting.rest_s = 0.01
        for _ in range(40):
            await other.publish("one", b"x" * 20_000)
        await eventually(lambda: len(found) == 43, 20)
