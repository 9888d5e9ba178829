"""A leaf node and its hub, or a copy of a stream: what would store each message twice is refused, with a reason."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from nats.aio.msg import Msg

from kgents_shared.bus import elsewhere, publish
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.elsewhere import require_one_store, require_one_store_of
from kgents_shared.bus.jetstream import create_stream, last_message, stream_info
from kgents_shared.bus.provision import Refuse, apply, plan, require_streams
from kgents_shared.bus.publish import Lost, Outcome, Publisher
from kgents_shared.bus.session import Session
from kgents_shared.contract.errors import BusError, ProvisionError
from kgents_shared.contract.streams import StreamsConfig, streams
from support.nats_server import NatsServer
from support.ports import free_port
from support.running import running
from support.streams import provision_streams
from support.waiting import MACHINE, eventually, within

STREAMS = streams(StreamsConfig())
BEATS = "kgents.meta.test.collector-nats.one"


@asynccontextmanager
async def hub_and_leaf(directory: Path, *, leaf_has_jetstream: bool = True) -> AsyncIterator[tuple[Bus, Bus]]:
    """Two servers of one account, joined."""
    port = free_port()
    accepts = f"leafnodes {{ listen: 127.0.0.1:{port} }}"
    dials = f'leafnodes {{ remotes: [ {{ url: "nats://127.0.0.1:{port}" }} ] }}'
    hub_server = NatsServer(directory / "hub", config=accepts, name="hub")
    leaf_server = NatsServer(directory / "leaf", config=dials, name="leaf", jetstream=leaf_has_jetstream)
    async with (
        hub_server,
        leaf_server,
        Bus(NatsConfig(url=hub_server.url), name="hub") as hub,
        Bus(NatsConfig(url=leaf_server.url), name="leaf") as leaf,
    ):
        await eventually(lambda: "Leafnode connection created" in hub_server.log.read_text())
        yield hub, leaf


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "ANSWERS_S", MACHINE.limit_s(elsewhere.ANSWERS_S))


async def sees(other: Bus, one: Bus) -> None:
    """Wait until a server knows all that is subscribed at the other one, also by streams: it is told in order."""

    async def answer(message: Msg) -> None:
        await message.respond(b"")

    await (await one.session()).subscribe("last", answer)

    async def is_known() -> bool:
        try:
            await (await other.session()).request("last")
        except BusError:
            return False
        return True

    await eventually(is_known)


async def provision(bus: Bus) -> None:
    """As `kgents provision` does."""
    session = await bus.session()
    made = await plan(session, STREAMS)
    await require_one_store_of(session, made)
    await apply(session, made)


async def refusal(bus: Bus) -> str:
    with pytest.raises(ProvisionError) as caught:
        await require_one_store(await bus.session(), "KGENTS_META", BEATS)
    return str(caught.value)


async def test_streams_of_the_hub_are_not_made_again_on_a_leaf_node(tmp_path: Path) -> None:
    async with hub_and_leaf(tmp_path) as (hub, leaf):
        await provision(hub)
        await sees(leaf, hub)
        with pytest.raises(ProvisionError, match="expected KGENTS_ENTITY to be the only stream of its messages"):
            await provision(leaf)
        with pytest.raises(ProvisionError, match="expected streams KGENTS_ENTITY"):
            await require_streams(await leaf.session(), STREAMS)


async def test_streams_on_both_sides_are_refused_on_both(tmp_path: Path) -> None:
    async with hub_and_leaf(tmp_path) as (hub, leaf):
        await provision_streams(hub)
        await provision_streams(leaf)
        await sees(leaf, hub)
        await sees(hub, leaf)
        for bus in (hub, leaf):
            with pytest.raises(ProvisionError, match="found 1 more in another JetStream"):
                await provision(bus)
            assert "nats stream rm KGENTS_META" in await refusal(bus)
            assert (await stream_info(await bus.session(), "KGENTS_META")).state.messages == 0


async def send(publisher: Publisher, count: int) -> None:
    for _ in range(count):
        with suppress(BusError):
            await publisher.send_one(BEATS, b"{}", {})


async def test_a_second_store_shows_by_its_answers_however_late_it_is_known(tmp_path: Path) -> None:
    async with hub_and_leaf(tmp_path) as (hub, leaf):
        publisher = Publisher(hub)
        async with running(publisher.run()):
            await provision_streams(hub)
            await send(publisher, 20)
            assert publisher.answered_twice == ""
            await provision_streams(leaf)
            await sees(hub, leaf)
            await send(publisher, 20)
            await eventually(lambda: "another JetStream" in publisher.answered_twice)


async def test_an_answer_that_comes_late_is_no_second_one(
    nats: NatsServer, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    await provision_streams(bus)
    publisher = Publisher(bus)
    monkeypatch.setattr(publish, "ACK_TIMEOUT_S", 0.2)
    outcomes: list[Outcome] = []
    async with running(publisher.run()):
        await send(publisher, 1)
        nats.pause()
        for _ in range(20):
            await publisher.send(BEATS, b"{}", {}, outcomes.append)
        await eventually(lambda: len(outcomes) == 20)
        nats.resume()
        await eventually(lambda: bus.is_connected)
        last = await eventually(lambda: last_message_of(bus))
        assert isinstance(outcomes[0], Lost)
        assert last.seq == 21
        await send(publisher, 1)  # its answer comes after theirs
        assert publisher.answered_twice == ""


async def last_message_of(bus: Bus) -> Delivery | None:
    """The last of all that was sent, once it is stored."""
    found = await last_message(await bus.session(), "KGENTS_META", BEATS)
    return found if found is not None and found.seq >= 21 else None


async def test_a_stream_that_answers_nothing_is_not_waited_for_all_the_time(bus: Bus) -> None:
    """As when the disk is full: that shows by other means."""
    session = await bus.session()
    session.timeout_s = 0.3
    async with within(20):
        await require_one_store(session, "KGENTS_META", "no.stream.has.this")


async def test_a_leaf_node_without_jetstream_is_fine(tmp_path: Path) -> None:
    async with hub_and_leaf(tmp_path, leaf_has_jetstream=False) as (hub, _):
        await provision(hub)
        await provision(hub)
        await require_one_store(await hub.session(), "KGENTS_META", BEATS)


async def copy(session: Session, config: dict[str, Any]) -> None:
    await create_stream(session, "ORIGIN", {"name": "ORIGIN", "subjects": ["origin.>"]})
    await create_stream(session, "KGENTS_ENTITY", {"name": "KGENTS_ENTITY", **config})


@pytest.mark.parametrize(
    "config",
    [{"mirror": {"name": "ORIGIN"}}, {"subjects": ["kgents.entity.*.*.*.*.*"], "sources": [{"name": "ORIGIN"}]}],
    ids=["mirror", "sources"],
)
async def test_a_copy_of_another_stream_is_refused(bus: Bus, config: dict[str, Any]) -> None:
    session = await bus.session()
    await copy(session, config)
    made = await plan(session, STREAMS)
    (refused,) = [step for step in made.steps if isinstance(step, Refuse)]
    assert "found a copy of ORIGIN (mirror or sources)" in refused.reason
    with pytest.raises(ProvisionError, match="KGENTS_ENTITY: expected a stream that only its own publishers fill"):
        await require_streams(session, STREAMS[:1])
