"""Clients that are slow, frozen, gone or too many, and a gateway that stops: none of them hurts another client."""

import asyncio
import socket
from math import ceil
from urllib.parse import urlsplit

from kgents_gateway.config import StreamConfig
from kgents_shared.bus.client import Bus
from support.build import make_ref
from support.gateway import ENTITIES, EVENTS, Running, reading, serving
from support.nats_server import NatsServer
from support.state import make_health, make_topology, publish, removed
from support.waiting import MACHINE, eventually

LONG = "x" * 20_000
TAKEN_AT_MOST = 500_000
"""Less than what the kernel wants to be free before it lets the sender go on: a third of its buffer."""


def frozen(gateway: Running, path: str = ENTITIES) -> socket.socket:
    """A client that asks and then reads nothing; its kernel takes as little as possible."""
    address = urlsplit(gateway.server.address)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.connect((address.hostname, address.port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    return client


async def test_a_slow_client_gets_the_last_state_of_what_it_missed(bus: Bus) -> None:
    await publish(bus, make_topology("a"), make_topology("b"))
    async with serving(bus, StreamConfig(queue_bytes=50_000, stalled_after_s=60)) as gateway:
        client = frozen(gateway)
        await eventually(lambda: len(gateway.gateway.connections) == 1)
        for number in range(150):
            await publish(bus, make_topology(f"p{number % 75}", annotations={"text": LONG, "number": str(number)}))
        await publish(bus, removed(make_topology("b")), make_topology("last"))
        await eventually(lambda: gateway.gateway.current.fold.get(make_ref("last")) is not None)
        await eventually(lambda: gateway.gateway.connections.each()[0].is_lagging)
        gateway.gateway.connections.note_pipeline("warning", "a notice")
        received = await asyncio.to_thread(_read_until, client, b"a notice", b'"name":"last"')
        client.close()

    late = received[received.index(b"event: lagged") :]
    assert b'"number":"149"' in late
    assert b"event: remove" in late
    assert received.count(b'"number":"') < 150


def _read_until(client: socket.socket, *texts: bytes) -> bytes:
    client.settimeout(MACHINE.limit_s(30))
    received = b""
    while any(text not in received for text in texts):
        part = client.recv(65_536)
        assert part, f"expected {texts!r}, found the end of the stream behind {received[-200:]!r}"
        received += part
    return received


async def test_a_frozen_client_is_disconnected_and_others_go_on(bus: Bus) -> None:
    async with serving(bus, StreamConfig(queue_bytes=50_000, stalled_after_s=ceil(MACHINE.limit_s(2)))) as gateway:
        connections, client = gateway.gateway.connections, frozen(gateway)
        async with reading(gateway) as reader:
            await eventually(lambda: len(connections) == 2)
            await publish(bus, *(make_topology(f"p{number}", annotations={"text": LONG}) for number in range(75)))
            await eventually(lambda: connections.waiting_bytes > len(LONG))
            await eventually(lambda: connections.stalled == 1)
            await eventually(lambda: (len(connections), connections.waiting_bytes) == (1, 0))
            assert len(gateway.server.server_state.connections) == 1
            await publish(bus, make_topology("last"))
            await eventually(lambda: len(reader.state) == 76)
        client.close()


async def test_a_client_that_takes_little_but_something_is_not_taken_for_stalled(bus: Bus) -> None:
    # 8 MB: the client takes a little of it, and Linux lets its buffer of what is being sent grow to 4 MiB.
    await publish(bus, *(make_topology(f"p{number}", annotations={"text": LONG}) for number in range(400)))
    async with serving(bus, StreamConfig(stalled_after_s=3_600)) as gateway:
        client, loop, taken = frozen(gateway), asyncio.get_running_loop(), 0
        client.setblocking(False)
        await eventually(
            lambda: gateway.gateway.connections.waiting_bytes > 50 * len(LONG)
        )  # the snapshot, in one send
        [one] = gateway.gateway.connections.each()

        async def is_seen_to_take() -> bool:
            nonlocal taken
            taken += len(await loop.sock_recv(client, 4_096))
            return not one.has_taken_nothing_since(idle_at)

        for _ in range(5):
            await eventually(lambda: one.has_taken_nothing_since(loop.time()))
            idle_at = loop.time()
            await eventually(is_seen_to_take)
        assert taken < TAKEN_AT_MOST
        assert one.waiting_bytes > len(LONG), "so it was one send that waited, all the time"
        client.close()


async def test_a_client_that_leaves_is_forgotten(gateway: Running) -> None:
    async with reading(gateway):
        assert len(gateway.gateway.connections) == 1
    await eventually(lambda: len(gateway.gateway.connections) == 0)
    assert gateway.gateway.hub.members == 0


async def test_one_client_too_many_is_asked_to_come_back(bus: Bus) -> None:
    async with serving(bus, StreamConfig(max_clients=1)) as gateway, reading(gateway):
        response = await gateway.client.get(ENTITIES)
        assert (response.status_code, int(response.headers["retry-after"])) == (503, 30)


async def test_an_idle_stream_says_that_it_is_alive(bus: Bus) -> None:
    async with serving(bus, StreamConfig(heartbeat_s=1)) as gateway:
        client = frozen(gateway)
        received = await asyncio.to_thread(_read_until, client, b"\n: ")
        client.close()
    assert b"event: ready" in received


async def test_a_gateway_that_stops_ends_its_streams_and_says_when_to_come_back(bus: Bus) -> None:
    async with serving(bus) as gateway:
        address, client = gateway.server.address, frozen(gateway)
        await eventually(lambda: len(gateway.gateway.connections) == 1)
    received = await asyncio.to_thread(_read_until, client, b"event: bye")
    assert received.count(b"retry: ") == 2
    assert address.startswith("http://127.0.0.1:")
    client.close()


async def test_while_nats_is_away_clients_are_warned_and_nothing_is_green(bus: Bus, server: NatsServer) -> None:
    await publish(bus, make_topology("a"), make_health("a"))
    async with serving(bus) as gateway, reading(gateway) as reader:
        assert await health(gateway) == ("healthy", False)
        server.kill()
        await eventually(lambda: "stale" in reader.names, within_s=30)
        assert await health(gateway) == ("unknown", True)
        [stale] = reader.data("stale")
        since = stale["since"]
        assert since.endswith("Z")
        async with reading(gateway) as later, reading(gateway, EVENTS) as events:
            for each in (later, events):
                assert each.data("stale") == [stale], "who comes later knows it too"
        assert reader.data("hello")[0]["heartbeat_s"] == 5
        for path in ("/api/infra/topology", "/api/infra/health", "/api/v1/alerts"):
            assert (await gateway.get(path))["stale_since"] == since, path
        assert (await gateway.client.get("/api/v1/metrics")).status_code == 503
        await server.start()
        await eventually(lambda: "live" in reader.names, within_s=30)
        assert await health(gateway) == ("healthy", False)
        await publish(bus, make_topology("b"))
        await eventually(lambda: len(reader.state) == 2)


async def health(gateway: Running) -> tuple[str, bool]:
    """The worst level, and whether the answer is known to be old."""
    found = await gateway.get("/api/infra/health")
    return found["status"], found["stale_since"] is not None
