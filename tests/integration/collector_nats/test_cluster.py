"""Three servers over the system account: one login sees all of them, and one that dies takes nothing with it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from kgents_collector_nats.remember import remember
from kgents_collector_nats.sample import Sample
from kgents_collector_nats.source import Source
from kgents_shared.bus.client import Bus
from kgents_shared.contract.errors import BusError
from support.nats_observed import ACCOUNTS, configured, login, opened
from support.nats_samples import edges, mapped, named, names
from support.nats_server import NatsServer
from support.ports import free_port
from support.waiting import MACHINE, eventually


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[list[NatsServer]]:
    ports = [free_port() for _ in range(3)]
    routes = ", ".join(f"nats://127.0.0.1:{port}" for port in ports)
    async with AsyncExitStack() as stack:
        started: list[NatsServer] = []
        for number, port in enumerate(ports, 1):
            config = f"{ACCOUNTS}\ncluster {{ name: C, listen: 127.0.0.1:{port}, routes: [{routes}] }}"
            server = NatsServer(tmp_path / f"n{number}", config=config, name=f"n{number}")
            started.append(await stack.enter_async_context(server))
        yield started


async def make_stream(app: Bus) -> None:
    """R3, with a copy on each server; waits for the cluster to form."""
    session = await app.session(timeout_s=10)

    async def is_made() -> bool:
        try:
            await session.api("STREAM.CREATE.R3", {"name": "R3", "subjects": ["r3.>"], "num_replicas": 3}, dict)
        except BusError:
            return False
        return True

    await eventually(is_made, within_s=30)


async def whole(source: Source) -> Sample:
    """A sample of three servers that know each other, R3 with a leader."""

    async def is_whole() -> Sample | None:
        sample = await source.read()
        streams = [each for each in mapped(sample).entities if each.ref.kind == "nats_stream"]
        has_leader = [each.status for each in streams] == ["running"]
        return sample if not sample.faults and len(sample.servers) == 3 and has_leader else None

    return await eventually(is_whole, within_s=30)


async def test_one_login_sees_the_cluster_and_a_dead_server_takes_nothing_with_it(servers: list[NatsServer]) -> None:
    timeout_s = round(MACHINE.limit_s(1), 1)
    async with (
        Bus(login(servers[0], "app"), name="shop", connection_name="shop") as app,
        opened(configured("system", servers[0], timeout_s=timeout_s)) as source,
    ):
        await make_stream(app)
        first = await whole(source)
        before = mapped(first)
        assert names(before, "nats_server") == {"n1", "n2", "n3"}
        assert named(before, "nats_server", "n2").attributes["kgents.nats.cluster"] == "C"
        assert any(kind == "runs_on" for kind, _, _ in edges(named(before, "nats_stream", "R3")))
        servers[2].kill()
        sample = remember(first, await source.read())
        assert f"2 of 3 servers answered within {timeout_s:g} s (n1, n2)" in sample.faults[0].text
        facts = mapped(sample, first, published=before)
        assert names(facts, "nats_server") == {"n1", "n2", "n3"}
        assert names(facts, "nats_stream") == {"R3"}
        assert "n3" not in {each.ref.name for each in facts.pulses}


async def test_a_server_that_says_goodbye_is_gone(servers: list[NatsServer]) -> None:
    async with (
        Bus(login(servers[0], "app"), name="shop") as app,
        opened(configured("system", servers[0])) as source,
    ):
        await make_stream(app)
        first = await whole(source)
        await servers[2].stop()
        sample = remember(first, await source.read())
        while sample.expected == 3:
            sample = remember(first, await source.read())
        assert names(mapped(sample, first, published=mapped(first)), "nats_server") == {"n1", "n2"}
