"""The law of the live view: a program that applies its changes holds what the streams hold, whatever happened."""

import asyncio
import itertools
import tempfile
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.unread import Unread
from kgents_shared.view.live import Live, snapshot
from kgents_shared.view.position import PositionFile
from kgents_shared.view.selection import select
from support.build import make_ref
from support.nats_server import NatsServer
from support.state import Message, make_alert, make_health, make_topology, publish, remake, removed
from support.streams import provision_streams
from support.waiting import eventually

NAMES = ("a", "b", "c.d")
Operation = tuple[str, ...]
names = st.sampled_from(NAMES)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("topology"), names, st.sampled_from(("running", "failed"))),
        st.tuples(st.just("source"), st.sampled_from(("", "a", "*", "gone"))),
        st.tuples(st.just("health"), names, st.sampled_from(("healthy", "critical"))),
        st.tuples(st.just("alert"), names, st.sampled_from(("firing", "resolved"))),
        st.tuples(st.just("remove"), st.sampled_from(("topology", "health", "alert")), names),
        st.tuples(st.just("remake"), st.sampled_from(("KGENTS_TOPOLOGY", "KGENTS_HEALTH", "KGENTS_ALERT"))),
        st.tuples(st.just("start")),
        st.tuples(st.just("stop")),
        st.tuples(st.just("settle")),
    ),
    max_size=25,
)
clusters = (f"example-{number}" for number in itertools.count())


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


class Consumer:
    """Holds what the changes say, and nothing else, also while it is not running."""

    def __init__(self, bus: Bus, cluster: str, level: str | None, kind: str | None, file: Path) -> None:
        self.bus = bus
        self.cluster = cluster
        self.selection = select(cluster=cluster, level=level, kind=kind)
        self.file = file
        self.held: dict[str, bytes] = {}
        self.live: Live | None = None
        self.task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        with PositionFile(self.file, str(self.selection)) as file:
            self.live = live = Live(self.bus, self.selection, position_file=file)
            async with aclosing(live.updates()) as updates:
                async for update in updates:
                    for change in update.changes:
                        if change.after is not None:
                            self.held[change.after.key] = change.after.record()
                        elif change.before is not None:
                            self.held.pop(change.before.key, None)

    def start(self) -> None:
        if self.task is None:
            self.task = asyncio.create_task(self.run())

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
            if not self.task.cancelled() and (error := self.task.exception()) is not None:
                raise error
            self.task = None

    async def settle(self) -> None:
        """The consumer holds what a new reader finds."""
        self.start()

        async def holds_the_truth() -> bool:
            kept = {each.key: each.record() for each in self.live.fold.entities()} if self.live is not None else None
            return self.held == kept == await self.truth()

        await eventually(holds_the_truth)

    async def truth(self) -> dict[str, bytes]:
        found = await snapshot(self.bus, self.selection)
        return {each.key: each.record() for each in found.entities()}

    async def carry_out(self, operation: Operation) -> None:
        match operation:
            case ("topology", name, status):
                ref = make_ref(name, cluster=self.cluster)
                await publish(self.bus, make_topology(ref=ref, status=status, sources=["k8s"]))
            case ("source", unread):
                source = make_topology(ref=make_ref("k8s", kind="source", namespace="", cluster=self.cluster))
                scopes = {"a": [Unread(name="a")], "*": [Unread()]}.get(unread, [])
                await publish(self.bus, removed(source) if unread == "gone" else replace(source, unread=scopes))
            case ("health", name, level):
                await publish(self.bus, make_health(ref=make_ref(name, cluster=self.cluster), level=level))
            case ("alert", name, state):
                await publish(self.bus, make_alert(ref=make_ref(name, cluster=self.cluster), state=state))
            case ("remove", signal, name):
                ref = make_ref(name, cluster=self.cluster)
                last: dict[str, Message] = {
                    "topology": make_topology(ref=ref), "health": make_health(ref=ref), "alert": make_alert(ref=ref)
                }  # fmt: skip
                await publish(self.bus, removed(last[signal]))
            case ("remake", stream):
                await remake(self.bus, stream)
            case ("start",):
                self.start()
            case ("stop",):
                await self.stop()
            case ("settle",):
                await self.settle()
            case _:
                raise AssertionError(operation)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    operations=operations,
    level=st.sampled_from((None, "critical", "unknown")),
    kind=st.sampled_from((None, "pod")),
)
@example(
    operations=[
        ("topology", "a", "running"), ("topology", "b", "running"), ("settle",), ("stop",),
        ("remake", "KGENTS_TOPOLOGY"), ("topology", "b", "failed"), ("settle",), ("remake", "KGENTS_TOPOLOGY"),
    ],
    level=None,
    kind=None,
)  # fmt: skip
@example(
    operations=[("topology", "a", "running"), ("settle",), ("health", "a", "critical")], level="unknown", kind=None
)
@example(
    operations=[
        ("topology", "a", "running"), ("health", "a", "healthy"), ("topology", "b", "running"), ("source", "a"),
        ("settle",), ("source", "*"), ("settle",), ("stop",), ("source", ""), ("settle",), ("source", "*"),
        ("remake", "KGENTS_TOPOLOGY"), ("topology", "a", "running"),
    ],
    level="unknown",
    kind="pod",
)  # fmt: skip
@example(
    operations=[("topology", "a", "running"), ("settle",), ("remove", "topology", "a"), ("settle",), ("stop",)],
    level=None,
    kind="pod",
)
@pytest.mark.timeout(300)
def test_the_changes_add_up_to_what_the_streams_hold(
    server: NatsServer, operations: list[Operation], level: str | None, kind: str | None
) -> None:
    async def scenario(directory: Path) -> None:
        async with Bus(NatsConfig(url=server.url), name="test") as bus:
            consumer = Consumer(bus, next(clusters), level, kind, directory / "position")
            try:
                for operation in operations:
                    await consumer.carry_out(operation)
                await consumer.settle()
            finally:
                await consumer.stop()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(scenario(Path(directory)))
