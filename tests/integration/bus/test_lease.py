import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.jetstream import last_message
from kgents_shared.bus.lease import MARGIN_S, TTL_S, Lease
from kgents_shared.bus.provision import apply, plan
from kgents_shared.bus.publish import EXPECTED_SEQUENCE, Publisher
from kgents_shared.contract import meta
from kgents_shared.contract.codec import META, encode
from kgents_shared.contract.errors import SteppedDownError
from kgents_shared.contract.streams import StreamsConfig, streams
from support.build import NOW
from support.nats_server import NatsServer
from support.proxy import Proxy
from support.running import running
from support.waiting import eventually, stays, stays_silent, within

SUBJECT = "kgents.meta.test.topology-builder.lease"
Connect = Callable[[str], AbstractAsyncContextManager[Bus]]


@asynccontextmanager
async def instance(connect: Connect, name: str) -> AsyncIterator[Lease]:
    """A process of its own, as far as NATS can see; at its end it disconnects without releasing its lease."""
    async with connect(name) as bus:
        publisher = Publisher(bus)
        async with running(publisher.run()):
            yield Lease(bus, publisher, cluster="test", service="topology-builder", instance=name, now=lambda: NOW)


Far = Callable[[str], AbstractAsyncContextManager[tuple[Lease, Proxy]]]


@pytest.fixture
def far(nats: NatsServer) -> Far:
    """An instance with a network between it and the server."""

    @asynccontextmanager
    async def make(name: str) -> AsyncIterator[tuple[Lease, Proxy]]:
        async with (
            Proxy(nats.port) as proxy,
            instance(lambda each: Bus(NatsConfig(url=proxy.url), name=each), name) as lease,
        ):
            yield lease, proxy

    return make


async def current(bus: Bus) -> meta.Lease:
    last = await last_message(await bus.session(), "KGENTS_META", SUBJECT)
    assert last is not None
    lease = META.decode(last.payload)
    assert isinstance(lease, meta.Lease)
    return lease


async def holder(bus: Bus) -> str:
    """Who holds the lease; what was released is soon replaced by a mark of the server."""
    last = await last_message(await bus.session(), "KGENTS_META", SUBJECT)
    return "" if last is None or last.marker else (await current(bus)).holder


@pytest.mark.parametrize("ahead_s", [-40.0, 0.0, 40.0])
async def test_the_clock_of_the_machine_is_compared_with_that_of_the_server(
    provisioned: Bus, connect: Connect, ahead_s: float
) -> None:
    def now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=ahead_s)

    async with connect("a") as bus:
        publisher = Publisher(bus)
        lease = Lease(bus, publisher, cluster="test", service="topology-builder", instance="a", now=now)
        async with running(publisher.run()):
            assert await lease.clock_ahead_s() is None, "nothing was stored yet"
            await lease.acquire()
            found_s = await lease.clock_ahead_s()
    # What the request took is not certain: it may be as long as the lease lasts.
    assert found_s is not None
    assert abs(ahead_s) - TTL_S < abs(found_s) <= abs(ahead_s)
    assert found_s * ahead_s >= 0


async def test_a_slow_link_is_no_difference_of_clocks(provisioned: Bus, nats: NatsServer) -> None:
    async with Proxy(nats.port) as proxy, Bus(NatsConfig(url=proxy.url), name="a") as bus:
        publisher = Publisher(bus)
        lease = Lease(
            bus, publisher, cluster="test", service="topology-builder", instance="a", now=lambda: datetime.now(UTC)
        )
        async with running(publisher.run()):
            await bus.session()
            proxy.delay_s = 0.3
            await lease.acquire()
            assert await lease.clock_ahead_s() == 0


async def test_the_first_instance_gets_the_lease(provisioned: Bus, connect: Connect) -> None:
    async with instance(connect, "a") as lease:
        assert not lease.is_valid
        await lease.acquire()
        assert lease.is_valid
        found = await current(provisioned)
    assert found == meta.Lease(
        text=f"{lease.holder} holds the lease to write for topology-builder", holder=lease.holder, acquired_at=NOW
    )
    assert lease.holder.startswith("a/")


async def test_two_lives_of_one_instance_differ(provisioned: Bus, connect: Connect) -> None:
    async with instance(connect, "a") as first, instance(connect, "a") as second:
        await first.acquire()
        await stays_silent(second.acquire(), for_s=0.5)


@pytest.mark.usefixtures("provisioned")
async def test_the_second_waits_and_says_so_once_and_a_release_hands_over_at_once(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with instance(connect, "a") as first, instance(connect, "b") as second:
        await first.acquire()
        async with running(first.hold(), second.acquire()) as (holding, waiting):
            await stays(lambda: first.is_valid and not second.is_valid and not waiting.done(), for_s=5)
            holding.cancel()
            async with within(0.5):
                await first.release()
                assert not first.is_valid
                await waiting
            assert second.is_valid
    standby = [record for record in caplog.records if record.getMessage() == "lease_standby"]
    assert [vars(record)["holder"] for record in standby] == [first.holder]


@pytest.mark.parametrize("claim", ["the first", "a renewal"])
async def test_a_release_covers_a_claim_whose_ack_was_not_awaited(provisioned: Bus, far: Far, claim: str) -> None:
    """What stops a service may cut off a claim that the server has stored already."""
    async with far("a") as (lease, proxy):
        if claim == "a renewal":
            await lease.acquire()
        before = await last_message(await provisioned.session(), "KGENTS_META", SUBJECT)
        proxy.half_open_at(b" holds the lease")
        async with running(lease.hold() if before else lease.acquire()) as (claiming,):

            async def is_stored() -> bool:
                last = await last_message(await provisioned.session(), "KGENTS_META", SUBJECT)
                return last is not None and last.seq > (before.seq if before else 0)

            await eventually(is_stored)
            claiming.cancel()
            await asyncio.wait([claiming])
        assert (await current(provisioned)).holder == lease.holder
        proxy.flow()
        await lease.release()
        assert await holder(provisioned) == ""


@pytest.mark.usefixtures("provisioned")
async def test_a_holder_that_vanishes_is_replaced_when_its_lease_runs_out(connect: Connect) -> None:
    async with instance(connect, "b") as second:
        async with instance(connect, "a") as first:
            started = time.monotonic()
            await first.acquire()
        async with within(TTL_S + 3):
            await second.acquire()
        assert time.monotonic() - started > TTL_S - MARGIN_S
        assert second.is_valid
        assert not first.is_valid


@pytest.mark.usefixtures("provisioned")
async def test_a_paused_holder_knows_it_before_another_takes_over_and_steps_down(connect: Connect) -> None:
    async with instance(connect, "a") as first, instance(connect, "b") as second:
        await first.acquire()
        async with running(second.acquire()) as (waiting,):

            def is_over() -> bool:
                assert first.is_valid + second.is_valid <= 1
                return waiting.done()

            await eventually(is_over)
            assert second.is_valid
        with pytest.raises(SteppedDownError, match=f"{second.holder} holds it"):
            await first.hold()


async def test_a_holder_that_finds_another_one_steps_down(provisioned: Bus, connect: Connect) -> None:
    async with instance(connect, "a") as first:
        await first.acquire()
        lease = meta.Lease(text="mine", holder="b/1", acquired_at=NOW)
        await (await provisioned.session()).request(SUBJECT, encode(lease))
        with pytest.raises(SteppedDownError, match="b/1 holds it"):
            await first.hold()
        assert not first.is_valid


@pytest.mark.usefixtures("provisioned")
async def test_the_holder_writes_nothing_while_nats_is_away_and_goes_on_before_a_standby(
    connect: Connect, nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with instance(connect, "a") as first, instance(connect, "b") as second:
        await first.acquire()
        async with running(first.hold(), second.acquire()) as (holding, waiting):
            await eventually(lambda: "lease_standby" in caplog.messages)
            nats.kill()
            await eventually(lambda: not first.is_valid)
            await stays(lambda: not (first.is_valid or holding.done()), for_s=TTL_S)  # as long as it lasts, again
            await nats.start()
            await eventually(lambda: first.is_valid)
            await stays(lambda: first.is_valid and not (holding.done() or waiting.done()), for_s=TTL_S)


async def test_a_lease_that_ran_out_on_the_server_is_taken_up_again(provisioned: Bus, far: Far) -> None:
    async with far("a") as (lease, proxy):
        await lease.acquire()
        async with running(lease.hold()):
            proxy.refuse()
            await eventually(lambda: ran_out(provisioned))
            assert not lease.is_valid
            proxy.flow()
            await eventually(lambda: lease.is_valid)
        assert (await current(provisioned)).holder == lease.holder


@pytest.mark.parametrize("network", ["refuse", "stall"])
async def test_a_holder_that_alone_was_cut_off_steps_down_for_the_one_that_took_over(
    connect: Connect, far: Far, provisioned: Bus, network: str
) -> None:
    async with far("a") as (first, proxy), instance(connect, "b") as second:
        await first.acquire()
        holding = asyncio.create_task(first.hold())
        async with running(second.acquire()) as (waiting,):
            getattr(proxy, network)()

            def is_taken() -> bool:
                assert first.is_valid + second.is_valid <= 1
                return waiting.done()

            await eventually(is_taken)
        async with running(second.hold()):
            await stays(lambda: not (first.is_valid or holding.done()), for_s=2)
            proxy.flow()
            with pytest.raises(SteppedDownError, match=f"{second.holder} holds it"):
                async with within(20):
                    await holding
            assert second.is_valid


async def test_a_holder_steps_down_for_one_that_released_the_lease_already(
    connect: Connect, far: Far, provisioned: Bus
) -> None:
    async with far("a") as (first, proxy), instance(connect, "b") as second:
        await first.acquire()
        holding = asyncio.create_task(first.hold())
        proxy.refuse()
        await second.acquire()
        session = await provisioned.session()
        last = await last_message(session, "KGENTS_META", SUBJECT)
        assert last is not None
        released = meta.Lease(text="released", holder="", acquired_at=NOW)  # and kept: a real one is soon gone
        await session.request(SUBJECT, encode(released), headers={EXPECTED_SEQUENCE: str(last.seq)})
        proxy.flow()
        with pytest.raises(SteppedDownError, match="released it"):
            async with within(20):
                await holding


async def ran_out(bus: Bus) -> bool:
    last = await last_message(await bus.session(), "KGENTS_META", SUBJECT)
    return last is not None and bool(last.marker)


@pytest.mark.usefixtures("provisioned")
async def test_a_short_outage_costs_the_holder_nothing(connect: Connect, nats: NatsServer) -> None:
    async with instance(connect, "a") as first:
        await first.acquire()
        async with running(first.hold()) as (holding,):
            nats.kill()
            await asyncio.sleep(3.5)  # over a renewal
            await nats.start()
            # Longer than the lease without that renewal would last.
            await stays(lambda: first.is_valid and not holding.done(), for_s=9)


async def test_a_renewal_whose_ack_was_lost_is_found_again(provisioned: Bus, connect: Connect) -> None:
    async with instance(connect, "a") as first:
        await first.acquire()
        lease = await current(provisioned)
        session = await provisioned.session()
        last = await last_message(session, "KGENTS_META", SUBJECT)
        assert last is not None
        await session.request(SUBJECT, encode(lease), headers={EXPECTED_SEQUENCE: str(last.seq)})
        async with running(first.hold()) as (holding,):
            await stays(lambda: first.is_valid and not holding.done(), for_s=4)


async def test_a_lease_that_is_gone_from_the_stream_is_noticed_and_taken_again(
    provisioned: Bus, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    async with instance(connect, "one") as one:
        await one.acquire()
        async with running(one.hold()):
            session = await provisioned.session()
            rolled_up = "kgents.meta.other.collector-nats.one"
            await session.request(rolled_up, b"{}", headers={"Nats-Rollup": "all"})  # empties the whole stream
            await eventually(lambda: "messages_lost" in caplog.text)

            async def is_back() -> bool:
                return await last_message(session, "KGENTS_META", SUBJECT) is not None

            await eventually(is_back)
            assert one.is_valid
            assert (await current(provisioned)).holder == one.holder


async def test_what_is_no_lease_does_not_keep_everybody_out(provisioned: Bus, connect: Connect) -> None:
    await (await provisioned.session()).request(SUBJECT, b"not a lease")
    async with instance(connect, "a") as first:
        await first.acquire()
        assert first.is_valid


async def test_the_lease_waits_for_its_stream(bus: Bus, connect: Connect) -> None:
    async with instance(connect, "a") as first, running(first.acquire()) as (waiting,):
        await stays(lambda: not waiting.done(), for_s=0.3)
        session = await bus.session()
        await apply(session, await plan(session, streams(StreamsConfig())))
        await waiting
        assert first.is_valid
