"""`kgents run gateway`: real processes beside each other, without a lease, and clients that outlive them."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from click.testing import CliRunner
from nats.aio.msg import Msg

from kgents_cli.app import kgents
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.meta import Heartbeat
from support.gateway import ENTITIES, SseReader
from support.nats_server import NatsServer
from support.ports import free_port
from support.running import running
from support.service_process import ServiceProcess
from support.state import make_topology, publish
from support.streams import provision_streams
from support.truth import heartbeat, in_sync, last_seq
from support.waiting import MACHINE, eventually

pytestmark = pytest.mark.timeout(120)


def gateway(server: NatsServer, directory: Path, instance: str, port: int, probes: int) -> ServiceProcess:
    """A gateway as a process."""
    return ServiceProcess(
        "gateway", server.url, directory, instance=instance, gateway__port=str(port), probes__port=str(probes)
    )


async def ready(port: int, status: int = 200) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == status
        except httpx.TransportError:
            return False


async def beat_of(bus: Bus, instance: str) -> Heartbeat:
    beat = await heartbeat(bus, "gateway", instance)
    assert beat is not None
    return beat


async def test_gateways_work_beside_each_other_without_a_lease(bus: Bus, server: NatsServer, tmp_path: Path) -> None:
    await publish(bus, make_topology("a"), make_topology("vault-of-the-bank"))
    ports = {"one": free_port(), "two": free_port()}
    probes = {"one": free_port(), "two": free_port()}
    async with (
        gateway(server, tmp_path, "one", ports["one"], probes["one"]),
        gateway(server, tmp_path, "two", ports["two"], probes["two"]) as second,
        httpx.AsyncClient() as client,
    ):
        for instance, port in ports.items():
            await in_sync(bus, "gateway", instance)
            beat = await beat_of(bus, instance)
            assert (beat.share, beat.source, beat.publishes) == (None, "", [])
            assert beat.consumes[:3] == ["KGENTS_TOPOLOGY", "KGENTS_HEALTH", "KGENTS_ALERT"]
            found = (await client.get(f"http://127.0.0.1:{port}/api/infra/topology")).json()
            assert found["count"] == 2
            assert await ready(probes[instance])
            metrics = (await client.get(f"http://127.0.0.1:{probes[instance]}/metrics")).text
            assert "kgents_gateway_entities 2.0" in metrics
            assert "kgents_gateway_waiting_bytes 0.0" in metrics
            assert "vault-of-the-bank" not in metrics, "who reads figures of the service reads no names"
        stored = await last_seq(bus, "KGENTS_META")
        assert await second.stop() == 0
        assert (await beat_of(bus, "two")).state == "stopped"
        assert await last_seq(bus, "KGENTS_META") > stored
        assert (await beat_of(bus, "one")).state == "in_sync"


async def test_a_client_goes_on_at_another_gateway_when_its_own_stops(
    bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    await publish(bus, make_topology("a"))
    ports = [free_port(), free_port()]
    async with (
        gateway(server, tmp_path, "one", ports[0], free_port()) as first,
        gateway(server, tmp_path, "two", ports[1], free_port()),
        httpx.AsyncClient(timeout=60) as client,
    ):
        await in_sync(bus, "gateway", "one")
        await in_sync(bus, "gateway", "two")
        reader = SseReader()
        following = asyncio.create_task(reader.run(client, f"http://127.0.0.1:{ports[0]}{ENTITIES}"))
        await eventually(lambda: reader.is_ready)
        assert await first.stop() == 0
        await following  # it has ended, and was not cut off
        assert reader.names[-1] == "bye"
        assert 500 <= reader.data("bye")[0]["retry_ms"] <= 5_000

        await publish(bus, make_topology("b"))
        again = SseReader()
        again.state.update(reader.state)
        async with running(again.run(client, f"http://127.0.0.1:{ports[1]}{ENTITIES}", last_id=reader.last_id)):
            await eventually(lambda: len(again.state) == 2)
            assert again.data("hello")[0]["mode"] == "resume"
            assert "batch" not in again.names
            assert len(again.data("upsert")) == 1


async def test_a_hundred_streams_end_with_advice_and_a_frozen_client_holds_nothing_up(
    bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    await publish(bus, *(make_topology(f"p{number}", annotations={"text": "x" * 20_000}) for number in range(100)))
    port = free_port()
    async with gateway(server, tmp_path, "one", port, free_port()) as process:
        await in_sync(bus, "gateway", "one")
        frozen = [await opened(port, ENTITIES) for _ in range(3)]
        streams = [await opened(port, f"{ENTITIES}?names=p1") for _ in range(100)]
        for reader, _ in streams:
            await reader.readuntil(b"event: ready")
        assert await process.stop() == 0
        for reader, _ in streams:
            assert b"event: bye" in await reader.read()
        assert b'"level":"error"' not in process.log.read_bytes()
        for _, writer in (*frozen, *streams):
            writer.close()


async def opened(port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream whose client reads only when it is asked to."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return reader, writer


async def test_no_request_over_nats_is_lost_when_one_of_the_gateways_stops(
    bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    await publish(bus, make_topology("a"))
    patient = NatsConfig(url=server.url, request_timeout_s=MACHINE.limit_s(30))  # what is lost is never answered
    async with (
        gateway(server, tmp_path, "one", free_port(), free_port()),
        gateway(server, tmp_path, "two", free_port(), free_port()) as second,
        Bus(patient, name="asking") as asking,
    ):
        await in_sync(bus, "gateway", "one")
        await in_sync(bus, "gateway", "two")
        session = await asking.session(timeout_s=30)
        answers: list[int] = []
        is_over = False

        async def ask() -> None:
            while not is_over:
                answers.append(msgspec.json.decode((await session.request("world.infra.k8s.pods")).data)["count"])

        async def served(instance: str) -> int:
            found = msgspec.json.decode((await session.request(f"$SRV.STATS.kgents-gateway.{instance}")).data)
            return int(next(each["num_requests"] for each in found["endpoints"] if each["name"] == "infra-k8s-pods"))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(8):
                tasks.create_task(ask())
            instances = await found_as_service(bus, 2)
            for each in instances:
                await eventually(partial(served_some, served, each))
            assert await second.stop() == 0
            is_over = True
        assert answers == [1] * len(answers)


async def served_some(served: Callable[[str], Awaitable[int]], instance: str) -> bool:
    return await served(instance) > 0


async def found_as_service(bus: Bus, count: int) -> set[str]:
    """The ids of all gateways that answer a PING, as soon as there are so many."""
    session, found = await bus.session(), set[str]()
    inbox = session.new_inbox()

    async def note(message: Msg) -> None:
        if message.data:
            found.add(msgspec.json.decode(message.data)["id"])

    end = await session.subscribe(inbox, note)

    async def are_there() -> bool:
        await session.publish("$SRV.PING.kgents-gateway", b"", reply=inbox)
        return len(found) >= count

    await eventually(are_there)
    await end()
    return found


async def test_a_port_in_use_stops_the_start_with_the_way_out(bus: Bus, server: NatsServer, tmp_path: Path) -> None:
    port = free_port()
    async with gateway(server, tmp_path, "one", port, free_port()):
        await in_sync(bus, "gateway", "one")
        async with gateway(server, tmp_path, "two", port, free_port()) as second:
            assert await second.ended() == 78
            lines = [msgspec.json.decode(line) for line in second.log.read_bytes().splitlines()]
    fault = next(line["fault"] for line in lines if line["event"] == "start_failed")
    assert f"expected to listen on 127.0.0.1:{port}" in fault


async def test_a_gateway_waits_for_nats_and_for_its_streams(tmp_path: Path) -> None:
    server, probes = NatsServer(tmp_path / "nats"), free_port()
    async with server:
        server.kill()
        async with gateway(server, tmp_path, "one", free_port(), probes):
            await eventually(lambda: ready(probes, 503))
            await server.start()
            async with Bus(NatsConfig(url=server.url), name="test") as bus:
                await provision_streams(bus)
                await in_sync(bus, "gateway", "one")
                await eventually(lambda: ready(probes))


async def test_beyond_loopback_it_starts_only_with_tokens(server: NatsServer, bus: Bus, tmp_path: Path) -> None:
    port, probes, file = free_port(), free_port(), tmp_path / "tokens"
    settings: dict[str, Any] = {"gateway__host": "0.0.0.0", "gateway__port": str(port), "probes__port": str(probes)}  # noqa: S104
    async with ServiceProcess("gateway", server.url, tmp_path, instance="open", **settings) as refused:
        assert await refused.ended() == 78
        log = refused.log.read_text()
    assert "expected a loopback address as long as no login is asked for" in log
    assert "try: kgents token NAME --file" in log

    run = partial(CliRunner().invoke, kgents, ["token", "reader", "--file", str(file)], catch_exceptions=False)
    made = (await asyncio.to_thread(run)).stdout.strip()
    settings["gateway__auth__tokens_file"] = str(file)
    async with ServiceProcess("gateway", server.url, tmp_path, instance="closed", **settings) as closed:
        await in_sync(bus, "gateway", "closed")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/api/v1/health")).status_code == 401
            allowed = await client.get("/api/v1/health", headers={"authorization": f"Bearer {made}"})
            assert allowed.status_code == 200
        assert made not in closed.log.read_text()

        file.write_text("no token\n")

        async def state() -> tuple[str, str]:
            beat = await beat_of(bus, "closed")
            return beat.state, beat.reason

        async def is_degraded() -> bool:
            return (await state())[0] == "degraded"

        await eventually(is_degraded)
        assert f"expected a readable file of tokens, found {file}: line 1: " in (await state())[1]
        assert await ready(probes), "the tokens that it knows are served"
        run = partial(
            CliRunner().invoke, kgents, ["token", "other", "--file", str(tmp_path / "others")], catch_exceptions=False
        )
        await asyncio.to_thread(run)
        (tmp_path / "others").rename(file)
        await in_sync(bus, "gateway", "closed")
        assert (await state())[1] == ""
