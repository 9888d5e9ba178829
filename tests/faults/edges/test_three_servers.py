"""A hub of three servers: one is lost while it copies, and nothing else is."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import account_info, stream_info
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from support.edge_site import Authority, ConfiguredServer, bus_of, command, login, provision
from support.edge_traffic import SOURCED_S, busy, copied, is_linked, report
from support.ports import free_port
from support.service_process import ServiceProcess
from support.waiting import eventually

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")

pytestmark = pytest.mark.timeout(500)


async def test_a_lost_leader_of_the_copies_loses_nothing_and_changes_no_order(tmp_path: Path) -> None:
    hub, edge, authority = tmp_path / "hub", tmp_path / "edge-A", Authority()
    port, leaves, edge_port = free_port(), free_port(), free_port()
    hosts = [each for host in HOSTS for each in ("--host", host)]
    command(
        "edge", "init", hub, *hosts, "--port", str(port), "--leaf-port", str(leaves), "--monitoring-port",
        str(free_port()), "--route-port", str(free_port()),
    )  # fmt: skip
    urls = [each for host in HOSTS for each in ("--url", f"tls://{host}:{leaves}")]
    command(
        "edge", "new", "A", "--hub", hub, *urls, "--dir", edge, "--port", str(edge_port), "--monitoring-port",
        str(free_port()), "--collector", "collector-docker",
    )  # fmt: skip
    authority.issue(hub, *HOSTS)
    authority.trust(edge)
    servers = {f"hub-{number}": ConfiguredServer(hub / f"nats-hub-{number}.conf") for number in (1, 2, 3)}
    at_edge = ConfiguredServer(edge / "nats.conf")
    url = ",".join(f"tls://{host}:{port}" for host in HOSTS)
    try:
        for server in (*servers.values(), at_edge):
            server.launch()
        for server in (*servers.values(), at_edge):
            await server.ready()
        edge_url = f"nats://127.0.0.1:{edge_port}"
        await provision(edge, edge_url)
        await eventually(partial(_is_formed, hub, url), within_s=60)
        await eventually(partial(_is_provisioned, hub, url), within_s=60)
        seed = str(hub / "keys" / "edge-sync.nk")
        async with (
            bus_of(login(hub, "reader", url)) as reader,
            bus_of(login(edge, "collector-docker", edge_url, tls=False), "collector-docker", "A") as writer,
            bus_of(login(edge, "reader", edge_url, tls=False)) as reader_edge,
        ):
            info = await stream_info(await reader.session(timeout_s=20), NAME_BY_SIGNAL["pulse"])
            assert info.config["num_replicas"] == 3
            await report(writer, "A", 0)
            await eventually(
                partial(_answered, partial(copied, reader, reader_edge, "A", "entity")), within_s=SOURCED_S
            )
            keeper = ServiceProcess(
                "edge-sync", url, tmp_path, config=hub / "kgents.yaml", cluster="hub", nats__nkey_seed_file=seed
            )
            async with keeper:
                await eventually(partial(_answered, partial(is_linked, reader, "A")), within_s=SOURCED_S)
                async with busy(writer, "A"):
                    assert info.cluster is not None
                    servers[info.cluster.leader].kill()
                    await eventually(partial(_is_led_by_another, reader, info.cluster.leader), within_s=60)
                await eventually(partial(_answered, partial(is_linked, reader, "A")), within_s=SOURCED_S)
                for signal in ("entity", "pulse", "event"):
                    await eventually(
                        partial(_answered, partial(copied, reader, reader_edge, "A", signal)), within_s=SOURCED_S
                    )
    finally:
        for server in (*servers.values(), at_edge):
            server.kill()


async def _answered(claim: Callable[[], Awaitable[bool]]) -> bool:
    """A claim that a hub without a leader cannot answer."""
    try:
        return await claim()
    except BusError:
        return False


async def _is_formed(hub: Path, url: str) -> bool:
    """Whether the three have found each other, and JetStream answers for all of them."""
    async with bus_of(login(hub, "reader", url)) as bus:
        try:
            await account_info(await bus.session(timeout_s=10))
        except BusError:
            return False
    return True


async def _is_provisioned(hub: Path, url: str) -> bool:
    """A leader that has not heard of the other two yet has no place for three replicas."""
    try:
        await provision(hub, url)
    except AssertionError:
        return False
    return True


async def _is_led_by_another(bus: Bus, leader: str) -> bool:
    try:
        info = await stream_info(await bus.session(timeout_s=10), NAME_BY_SIGNAL["pulse"])
    except BusError:
        return False
    return info.cluster is not None and info.cluster.leader not in ("", leader)
