"""What real servers answer, and what becomes of it when they do not."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kgents_collector_nats.config import Config
from kgents_collector_nats.mapping.advisory import Advisory, event
from kgents_collector_nats.mapping.scope import Scope
from kgents_collector_nats.remember import remember
from kgents_collector_nats.sample import Sample
from kgents_collector_nats.source import Advisories, Source
from kgents_collector_nats.source.advisories import WAITING_MAX
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.vocabulary.attributes.otel import TLS_SERVER_NOT_AFTER
from support.certificates import Certificates
from support.nats_login import reload
from support.nats_observed import ACCOUNTS, configured, connect_raw, login, opened
from support.nats_samples import AT, edges, mapped, named, names, pulse
from support.nats_server import NatsServer
from support.running import running
from support.waiting import MACHINE, eventually, within

WAYS = ("http", "system")
TESTED = "$JS.EVENT.ADVISORY.STREAM.TEST"


async def polls(source: Source, count: int) -> list[Facts]:
    """As app.py polls: each poll remembers the one before."""
    seen: list[Facts] = []
    previous: Sample | None = None
    for _ in range(count):
        sample = remember(previous, await source.read())
        assert sample.faults == ()
        seen.append(mapped(sample, previous, published=seen[-1] if seen else None))
        previous = sample
    return seen


def but_ours(facts: Facts) -> list[Entity]:
    """Without our own connection, which is the one that is not idle."""
    return [each for each in facts.entities if each.ref.name != "collector-nats/test"]


async def test_the_end_of_a_certificate_is_that_of_the_one_in_use_until_it_is_read_again(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    soon, late = (datetime.now(UTC).replace(microsecond=0) + timedelta(days=days) for days in (3, 90))
    certificates.issue("server", "127.0.0.1", not_after=soon)
    async with (
        NatsServer(tmp_path / "nats", config=certificates.server_config()) as server,
        opened(Config(monitor_urls=[server.monitor_url], request_timeout_s=MACHINE.limit_s(3))) as source,
    ):
        certificates.issue("server", "127.0.0.1", not_after=late)
        assert await until(source) == soon  # the file alone changes nothing
        await reload(server, certificates.server_config())
        assert await until(source) == late


async def until(source: Source) -> datetime:
    entity = named(mapped(await source.read()), "nats_server", "test")
    return datetime.fromisoformat(str(entity.attributes[TLS_SERVER_NOT_AFTER]))


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_is_seen_whole(server: NatsServer, app: Bus, way: str) -> None:
    async with opened(configured(way, server)) as source:
        first, second = await polls(source, 2)
    assert but_ours(first) == but_ours(second)
    assert names(second, "nats_server") == {"test"}
    assert names(second, "nats_stream") == {"ORDERS", "COPY"}
    assert names(second, "nats_consumer") == {"ORDERS/billing", "ORDERS/ephemeral"}
    assert names(second, "nats_subject") == {"orders.>", "jobs.*"}
    assert names(second, "nats_client") - {"collector-nats/test"} == {"shop/cart-1", "anonymous-c"}
    assert edges(named(second, "nats_client", "anonymous-c")) == {
        ("network", "out", "nats_server test"),
        ("nats", "in", "nats_subject APP/jobs.*"),
    }
    assert ("depends", "out", "nats_stream APP/ORDERS") in edges(named(second, "nats_stream", "COPY"))
    assert named(second, "nats_server", "test").addresses == [f"127.0.0.1:{server.port}"]
    figures = pulse(second, "nats_stream", "ORDERS").custom
    assert (figures["messages"], figures["messages_per_sec"], figures["messages_fill_ratio"]) == (2, 0, 0.2)
    assert pulse(second, "nats_consumer", "ORDERS/billing").custom["pending_messages"] == 2


@pytest.mark.parametrize("way", WAYS)
async def test_an_idle_server_gives_the_same_bytes_at_every_poll(server: NatsServer, app: Bus, way: str) -> None:
    async with opened(configured(way, server)) as source:
        polled = [[encode(each) for each in but_ours(facts)] for facts in await polls(source, 3)]
    assert polled[0] == polled[1] == polled[2]


async def test_traffic_is_measured_between_two_polls(server: NatsServer, app: Bus) -> None:
    session = await app.session()
    async with opened(configured("http", server)) as source:
        first = await source.read()
        for _ in range(20):
            await session.request("orders.new", b"x")
        await asyncio.sleep(0.1)
        facts = mapped(await source.read(), first)
    now = pulse(facts, "nats_client", "shop/cart-1")
    assert (now.custom["in_msgs_per_sec"] or 0) > 0
    assert (pulse(facts, "nats_stream", "ORDERS").custom["messages_per_sec"] or 0) > 0
    (network,) = [each for each in named(facts, "nats_client", "shop/cart-1").connections if each.kind == "network"]
    assert network.traffic is not None


async def test_a_port_without_a_listener_is_a_fault_that_says_what_to_do(server: NatsServer, app: Bus) -> None:
    async with opened(configured("http", server)) as source:
        published = mapped(await source.read())
        server.kill()
        sample = await source.read()
    (fault,) = sample.faults
    assert fault.text.startswith(f"monitoring endpoint {server.monitor_url} refused (")
    assert "start nats-server with -m 8222" in fault.text
    assert mapped(sample, published=published).entities == published.entities


async def test_a_client_port_is_no_monitoring_port(server: NatsServer) -> None:
    async with opened(Config(monitor_urls=[f"http://127.0.0.1:{server.port}"])) as source:
        (fault,) = (await source.read()).faults
    assert "monitor_urls must name the http port of a nats-server" in fault.text


async def test_one_server_under_two_urls_is_one_server(server: NatsServer, app: Bus) -> None:
    urls = [server.monitor_url, server.monitor_url.replace("127.0.0.1", "localhost")]
    async with opened(Config(monitor_urls=urls)) as source:
        sample = await source.read()
    assert "remove one of them from monitor_urls" in sample.faults[0].text
    assert sample.unseen == frozenset()
    assert pulse(mapped(sample), "nats_client", "shop/cart-1").custom["connections"] == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_stopped_server_is_a_fault_within_the_deadline(server: NatsServer, app: Bus, way: str) -> None:
    timeout_s = round(MACHINE.limit_s(0.5), 1)
    async with opened(configured(way, server, timeout_s=timeout_s)) as source:
        first = await source.read()
        server.pause()
        async with within(4):
            sample = await source.read()
        server.resume()
    assert f"within {timeout_s:g} s" in sample.faults[0].text
    published = mapped(first)
    assert mapped(remember(first, sample), first, published=published).entities == published.entities


async def test_a_login_outside_the_system_account_is_reported(server: NatsServer) -> None:
    async with opened(Config(system=login(server, "app"))) as source:
        (fault,) = (await source.read()).faults
    assert "`system` must be a login of the system account" in fault.text


async def test_a_server_that_cannot_be_reached_is_a_fault(server: NatsServer) -> None:
    config = configured("system", server, timeout_s=MACHINE.limit_s(0.3))
    server.kill()
    async with opened(config) as source:
        (fault,) = (await source.read()).faults
    assert "no NATS server at" in fault.text


@pytest.mark.parametrize("way", WAYS)
async def test_more_connections_than_a_page_holds(server: NatsServer, way: str) -> None:
    clients = []
    try:
        for number in range(1100):
            lines = f'CONNECT {{"user":"app","pass":"app","verbose":false,"name":"device-{number}"}}'
            clients.append(await connect_raw(server, lines))
        async with opened(configured(way, server)) as source:
            sample = await source.read()
    finally:
        for client in clients:
            client.close()
    assert sample.faults == ()
    (seen,) = sample.servers
    assert seen.connz is not None
    devices = [each.name for each in seen.connz.connections if each.name.startswith("device-")]
    assert len(devices) == len(set(devices)) == 1100
    facts = mapped(sample)
    assert len(names(facts, "nats_client")) == 51
    assert (pulse(facts, "nats_client", "overflow").custom["entities_left_out"] or 0) >= 1050


async def test_a_server_in_lame_duck_mode_leaves_with_all_its_streams(tmp_path: Path) -> None:
    config = "lame_duck_duration: 30s\nlame_duck_grace_period: 10s\n" + ACCOUNTS
    async with (
        NatsServer(tmp_path / "nats", config=config) as server,
        opened(configured("http", server)) as source,
        Bus(login(server, "app"), name="shop") as bus,
    ):
        session = await bus.session(timeout_s=10)
        await session.api("STREAM.CREATE.S", {"name": "S", "subjects": ["s.>"]}, dict)
        first = await source.read()
        published = mapped(first)
        os.kill(server.pid, signal.SIGUSR2)
        sample = first
        while not sample.faults:
            sample = remember(first, await source.read())
        facts = mapped(sample, first, published=published)
    assert "is not ready" in sample.faults[0].text
    assert named(facts, "nats_server", "test").status == "terminating"
    assert names(facts, "nats_stream") == {"S"}


async def test_advisories_name_their_account_and_those_dropped_are_counted(server: NatsServer) -> None:
    async with Bus(login(server, "app"), name="shop") as bus:
        heard = Advisories(bus)
        session = await bus.session(timeout_s=10)
        async with running(heard.run()), within(60):
            await first_heard(heard, lambda: session.publish(f"{TESTED}.FIRST", b"{}"))
            await session.publish(f"{TESTED}.LAST", b"{}")
            while (await heard.next()).subject != f"{TESTED}.LAST":
                pass  # several may have been published before the first one was heard

            await session.api("STREAM.CREATE.S", {"name": "S", "subjects": ["s.>"]}, dict)
            reported = event(await heard.next(), Scope("test", 5.0, AT, {}))
            assert reported is not None
            assert (reported.reason, str(reported.ref)) == ("StreamCreate", "nats_stream APP/S")

            for _ in range(WAITING_MAX):
                await session.publish(f"{TESTED}.KEPT", b"{}")
            for _ in range(5):
                await session.publish(f"{TESTED}.DROPPED", b"{}")
            await eventually(lambda: heard.dropped == 5)
            assert {(await heard.next()).subject for _ in range(WAITING_MAX)} == {f"{TESTED}.KEPT"}


async def test_advisories_go_on_after_a_restart_of_the_server(server: NatsServer, app: Bus) -> None:
    heard = Advisories(app)
    async with running(heard.run()):
        old = await app.session()
        server.kill()
        await server.start()
        await old.lost.wait()
        session = await app.session(timeout_s=10)

        async def published() -> None:
            await session.publish(TESTED, b"{}")

        assert (await first_heard(heard, published)).account == "APP"


async def first_heard(heard: Advisories, cause: Callable[[], Awaitable[None]]) -> Advisory:
    """Cause advisories until one is heard: the first ones are lost while the subscription is being made."""
    next_one = asyncio.create_task(heard.next())

    async def is_heard() -> bool:
        await cause()
        return next_one.done()

    await eventually(is_heard)
    return await next_one
