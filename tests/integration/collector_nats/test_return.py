"""A server that lost its clients: those that come back, and their subjects, are not removed meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from kgents_collector_nats.mapping.returning import RETURN
from kgents_collector_nats.remember import remember
from kgents_collector_nats.sample import EPOCH, Sample, Server
from kgents_collector_nats.source import Source
from kgents_shared.bus.client import Bus
from kgents_shared.contract.facts import Facts
from support.nats_observed import ACCOUNTS, configured, connect_raw, login, make_streams, opened
from support.nats_samples import edges, mapped, named, names
from support.nats_server import NatsServer
from support.waiting import MACHINE, eventually

SHOP = 'CONNECT {"user":"app","pass":"app","lang":"c","name":"shop/cart-1","verbose":false}'
WAYS = ("http", "system")
RETURN_S = RETURN.total_seconds()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "nats", config=ACCOUNTS) as server:
        yield server


@asynccontextmanager
async def shop(server: NatsServer, *subjects: str) -> AsyncIterator[asyncio.StreamWriter]:
    """A client that has subscribed to these, in this order."""
    lines = [SHOP, *(f"SUB {subject} {number}" for number, subject in enumerate(subjects))]
    client = await connect_raw(server, "\r\n".join(lines))
    try:
        yield client
    finally:
        client.close()


async def seen(source: Source) -> tuple[Sample, Facts]:
    """A poll of a collector that starts."""
    sample = remember(None, await source.read())
    assert sample.faults == ()
    return sample, mapped(sample)


async def polled(source: Source, before: Sample, published: Facts) -> tuple[Sample, Facts]:
    sample = remember(before, await source.read())
    return sample, mapped(sample, before, published=published)


def after(sample: Sample, seconds: float, *, without: str = "") -> Sample:
    """A sample as it would be so long after the server accepted clients again, without the connections of a name."""

    def moved(server: Server) -> Server:
        assert server.connz is not None
        kept = [each for each in server.connz.connections if not without or each.name != without]
        now = server.clients_since + timedelta(seconds=seconds)
        return structs.replace(server, connz=structs.replace(server.connz, now=now, connections=kept))

    return structs.replace(sample, servers=tuple(map(moved, sample.servers)))


def answering_for_long(sample: Sample) -> Sample:
    servers = tuple(structs.replace(each, clients_since=EPOCH) for each in sample.servers)
    return structs.replace(sample, servers=servers)


async def hung(server: NatsServer, source: Source, before: Sample) -> Sample:
    """What was polled of a server that did not answer, while its client gave up."""
    server.pause()
    sample = remember(before, await source.read())
    assert sample.faults
    return sample


@pytest.mark.parametrize("way", WAYS)
async def test_what_a_server_lost_while_it_hung_is_not_removed_at_the_first_poll(server: NatsServer, way: str) -> None:
    async with opened(configured(way, server, timeout_s=MACHINE.limit_s(0.5))) as source, AsyncExitStack() as first:
        client = await first.enter_async_context(shop(server, "jobs.*", "news"))
        before, published = await seen(source)
        silent = await hung(server, source, before)
        client.close()
        server.resume()

        async def is_gone() -> tuple[Sample, Facts] | None:
            sample, facts = await polled(source, silent, published)
            answered = not sample.faults and sample.servers[0].connz is not None
            connected = sample.servers[0].connz.connections if sample.servers[0].connz is not None else []
            return (sample, facts) if answered and all(each.name != "shop/cart-1" for each in connected) else None

        sample, facts = await eventually(is_gone)
        assert names(facts, "nats_client") >= {"shop/cart-1"}
        assert names(facts, "nats_subject") == {"jobs.*", "news"}
        since = f"{sample.servers[0].clients_since:%H:%M:%SZ}"
        assert facts.faults == [f"1 entity of clients that are coming back to test (since {since}) not found yet"]

        async with shop(server, "jobs.*"):  # it is back, and has not subscribed to all again
            sample = after(remember(sample, await source.read()), 1)
            facts = mapped(sample, published=facts)
            assert names(facts, "nats_subject") == {"jobs.*", "news"}
            assert named(facts, "nats_client", "shop/cart-1") == named(published, "nats_client", "shop/cart-1")
            assert facts.faults == []


async def test_what_does_not_come_back_is_gone_after_its_time(server: NatsServer) -> None:
    async with opened(configured("http", server, timeout_s=MACHINE.limit_s(0.5))) as source, AsyncExitStack() as first:
        client = await first.enter_async_context(shop(server, "jobs.*", "news"))
        before, published = await seen(source)
        silent = await hung(server, source, before)
        client.close()
        server.resume()
        async with shop(server, "jobs.*"):
            sample, facts = await polled(source, silent, published)
            assert names(facts, "nats_subject") == {"jobs.*", "news"}
            facts = mapped(after(sample, 2 * RETURN_S), sample, published=facts)
            assert names(facts, "nats_subject") == {"jobs.*"}
            assert edges(named(facts, "nats_client", "shop/cart-1")) == {
                ("network", "out", "nats_server test"),
                ("nats", "in", "nats_subject APP/jobs.*"),
            }
            other = mapped(after(sample, 2 * RETURN_S, without="shop/cart-1"), sample, published=facts)
            assert names(other, "nats_subject") == set()
            assert "shop/cart-1" not in names(other, "nats_client")


async def test_a_server_that_has_just_started_is_given_the_same_time(server: NatsServer) -> None:
    async with shop(server, "jobs.*"), opened(configured("http", server)) as source:
        _, published = await seen(source)
    server.kill()
    await server.start()
    async with opened(configured("http", server)) as source:
        sample = remember(None, await source.read())
        facts = mapped(sample, published=published)
        assert names(facts, "nats_client") == names(published, "nats_client")
        assert names(facts, "nats_subject") == {"jobs.*"}
        facts = mapped(after(sample, RETURN_S), sample, published=facts)
        assert names(facts, "nats_subject") == set()


async def test_consumers_of_clients_that_come_back_stay_and_durable_ones_need_no_client(server: NatsServer) -> None:
    async with opened(configured("http", server)) as source, Bus(login(server, "app"), name="shop") as bus:
        session = await bus.session(timeout_s=10)
        await make_streams(session)
        sample, published = await seen(source)
        for name in ("billing", "once"):
            await session.api(f"CONSUMER.DELETE.ORDERS.{name}", None, dict)
        polled = remember(sample, await source.read())
        returned = mapped(after(polled, 1), sample, published=published)
        assert names(returned, "nats_consumer") == {"ORDERS/ephemeral"}
        assert names(mapped(after(polled, RETURN_S), sample, published=returned), "nats_consumer") == set()


async def test_a_client_that_leaves_a_server_that_others_stay_at_is_gone_at_once(server: NatsServer) -> None:
    async with opened(configured("http", server)) as source, shop(server, "stays") as other:
        async with shop(server, "jobs.*"):
            sample, published = await seen(source)
        sample = answering_for_long(sample)

        async def is_gone() -> Facts | None:
            _, facts = await polled(source, sample, published)
            return facts if names(facts, "nats_subject") == {"stays"} else None

        assert (await eventually(is_gone)).faults == []
        assert not other.is_closing()


async def test_a_connection_that_has_not_introduced_itself_is_no_client(server: NatsServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await reader.readline()
    async with opened(configured("http", server)) as source:
        sample = remember(None, await source.read())
        assert sample.servers[0].connz is not None
        assert len(sample.servers[0].connz.connections) == 1
        assert names(mapped(sample), "nats_client") == set()
        assert names(mapped(after(sample, RETURN_S)), "nats_client") == {"anonymous-unknown"}
    writer.close()
