"""The law of a collector's parts: each poll ends as a plain replacement of its part would, with no message more."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.unread import Unread
from support.collecting import Collecting, collecting
from support.nats_server import NatsServer
from support.streams import provision_streams
from support.with_unread import with_unread

PARTS = ("a", "b")
NAMES = st.sampled_from([f"n{number}" for number in range(5)])
ENTITIES = st.lists(st.tuples(NAMES, st.sampled_from(("running", "failed"))), max_size=6)
POLLS = st.tuples(st.sampled_from(PARTS), ENTITIES, st.lists(NAMES, max_size=2))
STEPS = st.lists(POLLS | st.tuples(st.just("only"), st.sets(st.sampled_from(PARTS))), max_size=8)

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


class Plain:
    """The reference: what is published of each part, replaced in one go."""

    def __init__(self) -> None:
        self.parts: dict[str, dict[Ref, Entity]] = {}

    def publish(self, facts: Facts, part: str) -> None:
        before = self.parts.get(part, {})
        found = with_unread(facts.entities, before.values(), facts.unread, part)
        after = {each.ref: structs.replace(each, part=part, text=f"{each.ref} is {each.status}") for each in found}
        for name, other in self.parts.items():
            if name != part:
                for ref in after.keys() - before.keys():
                    other.pop(ref, None)
        self.parts[part] = after

    @property
    def entities(self) -> dict[Ref, Entity]:
        return {ref: each for part in self.parts.values() for ref, each in part.items()}


async def published(one: Collecting) -> dict[Ref, Entity]:
    await one.collector.entities.flush()
    return {row.message.ref: row.message for row in one.collector.entities.rows.values()}


async def play(one: Collecting, steps: Sequence[tuple[object, ...]]) -> None:
    plain = Plain()
    for step in steps:
        before, sent = plain.entities, await one.messages()
        match step:
            case ("only", parts):
                assert isinstance(parts, set)
                plain.parts = {part: each for part, each in plain.parts.items() if part in parts}
                await one.collector.collect_only(sorted(parts))
            case (str(part), list(listed), list(names)):
                found = [
                    Entity(ref=Ref(one.context.cluster, "pod", name, "shop"), source="nats", status=status)
                    for name, status in listed
                ]
                facts = Facts(found, unread=[Unread("pod", "shop", name) for name in names])
                plain.publish(facts, part)
                await one.collector.publish(facts, part)
            case _:
                raise AssertionError(step)
        after = plain.entities
        assert await published(one) == after
        changed = sum(before.get(ref) != after.get(ref) for ref in before.keys() | after.keys())
        assert await one.messages() - sent == changed
        for part in PARTS:
            assert one.collector.part(part).keys() == plain.parts.get(part, {}).keys()


@given(steps=STEPS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_a_poll_publishes_what_a_plain_replacement_would(
    server: NatsServer, tmp_path: Path, steps: list[tuple[object, ...]]
) -> None:
    async def example() -> None:
        async with (
            Bus(NatsConfig(url=server.url), name="collector-nats") as bus,
            collecting(bus, tmp_path, next(clusters)) as one,
        ):
            await play(one, steps)

    asyncio.run(example())


@given(steps=st.lists(POLLS, min_size=2, max_size=2), turns=st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
def test_what_a_cancelled_poll_published_is_removed_with_its_part(
    server: NatsServer, tmp_path: Path, steps: list[tuple[str, list[tuple[str, str]], list[str]]], turns: int
) -> None:
    """A watch of a database that is no longer configured is cancelled wherever it is."""

    async def example() -> None:
        async with (
            Bus(NatsConfig(url=server.url), name="collector-nats") as bus,
            collecting(bus, tmp_path, next(clusters)) as one,
        ):
            polls = [
                asyncio.create_task(
                    one.collector.publish(
                        Facts([Entity(ref=Ref(one.context.cluster, "pod", f"{part}{name}"), source="nats")]), part
                    )
                )
                for part, listed, _ in steps
                for name, _ in listed
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            for poll in polls:
                poll.cancel()
            if polls:
                await asyncio.wait(polls)
            await one.collector.collect_only([])
            assert await published(one) == {}

    asyncio.run(example())
