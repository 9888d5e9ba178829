"""What a stream loses without a message that says so: its writer publishes it again, its readers remove it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from kgents_shared.bus import losses, state_audit
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import create_stream, last_message, purge_before, stream_info, update_stream
from kgents_shared.bus.losses import Absence, limit_of
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, TOPOLOGY
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.topology import TopologyEntity
from support.build import make_entity, make_ref, subject_of
from support.nats_server import NatsServer
from support.running import running
from support.state import make_topology
from support.waiting import eventually, stays, within

ENTITIES = [make_entity(f"e{number}") for number in range(20)]
SUBJECTS = [make_ref(f"e{number}").subject("topology") for number in range(20)]


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((losses, "INTERVAL_S"), (state_audit, "AUDIT_INTERVAL_S")):
        monkeypatch.setattr(module, name, 0.1)


@pytest.fixture
async def topology(bus: Bus, publisher: Publisher) -> AsyncIterator[StateTable[TopologyEntity]]:
    """A writer of twenty entities, each with a history of three messages; earlier versions allowed deletes."""
    session = await bus.session()
    config = (await stream_info(session, "KGENTS_TOPOLOGY")).config
    await session.api("STREAM.DELETE.KGENTS_TOPOLOGY", None, msgspec.Raw)
    await create_stream(session, "KGENTS_TOPOLOGY", {**config, "deny_delete": False})
    table = StateTable(
        bus, TOPOLOGY, "KGENTS_TOPOLOGY", [subjects.pattern("topology", cluster="test")], publisher=publisher,
        render=lambda old, new: msgspec.structs.replace(new, text="appeared" if old is None else "changed"),
    )  # fmt: skip
    await table.load()
    async with running(table.run()):
        for status in ("pending", "running", "failed"):
            for number, subject in enumerate(SUBJECTS):
                table.put(subject, make_topology(f"e{number}", status=status))
            async with within(20):
                await table.flush()
        yield table


async def held(bus: Bus, codec: Any, stream: str) -> dict[str, Any]:
    view: StateView[Any] = StateView(bus, codec, stream, [f"{stream.lower().replace('_', '.')}.>"])
    await view.load()
    return {subject: row.message for subject, row in view.rows.items()}


async def last_seq(bus: Bus, subject: str) -> int:
    """The sequence of what the topology stream holds of a subject; 0: nothing."""
    last = await last_message(await bus.session(), "KGENTS_TOPOLOGY", subject)
    return last.seq if last is not None else 0


async def limit(bus: Bus, stream: str, **limits: int) -> None:
    session = await bus.session()
    await update_stream(session, stream, {**(await stream_info(session, stream)).config, **limits})


async def test_a_purged_subject_is_published_again_as_it_was(topology: StateTable[TopologyEntity], bus: Bus) -> None:
    before = await held(bus, TOPOLOGY, "KGENTS_TOPOLOGY")
    session = await bus.session()

    seq = topology.rows[SUBJECTS[3]].seq
    await purge_before(session, "KGENTS_TOPOLOGY", SUBJECTS[3], 10_000)

    async def is_healed() -> bool:
        return await last_seq(bus, SUBJECTS[3]) > seq

    await eventually(is_healed)
    assert await held(bus, TOPOLOGY, "KGENTS_TOPOLOGY") == before
    assert before[SUBJECTS[3]].text == "changed"  # and not "appeared": no reader that knew it has any news


async def test_a_deleted_newest_message_is_published_again_over_the_older_one_that_shows(
    topology: StateTable[TopologyEntity], bus: Bus
) -> None:
    session = await bus.session()
    seq = topology.rows[SUBJECTS[7]].seq

    await session.api("STREAM.MSG.DELETE.KGENTS_TOPOLOGY", {"seq": seq}, msgspec.Raw)

    async def is_healed() -> bool:
        return await last_seq(bus, SUBJECTS[7]) > seq

    await eventually(is_healed)
    assert (await held(bus, TOPOLOGY, "KGENTS_TOPOLOGY"))[SUBJECTS[7]].status == "failed"
    await eventually(lambda: topology.failures == {})


async def test_a_lost_removal_does_not_bring_the_entity_back(topology: StateTable[TopologyEntity], bus: Bus) -> None:
    topology.remove(SUBJECTS[0], make_topology("e0", op="remove"))
    async with within(20):
        await topology.flush()
    session = await bus.session()
    seq = topology.expected_seq(SUBJECTS[0])

    await session.api("STREAM.MSG.DELETE.KGENTS_TOPOLOGY", {"seq": seq}, msgspec.Raw)

    async def is_absent() -> bool:
        return SUBJECTS[0] not in await held(bus, TOPOLOGY, "KGENTS_TOPOLOGY")

    await eventually(is_absent)


async def test_a_removal_lost_from_a_stream_without_history_ends_the_run(
    table: StateTable[Entity], bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a stream went back, and has grown since: what it shows again may be anything.

    It holds as much as before, and the next comparison is far away; but the connection is another one.
    """
    monkeypatch.setattr(losses, "INTERVAL_S", 1e9)
    monkeypatch.setattr(losses, "COMPARED_SOONER", 0)
    session = await bus.session()
    config = (await stream_info(session, "KGENTS_ENTITY")).config
    await session.api("STREAM.DELETE.KGENTS_ENTITY", None, msgspec.Raw)
    await create_stream(session, "KGENTS_ENTITY", {**config, "deny_delete": False, "max_msgs_per_subject": 2})
    subject = subject_of(make_entity("e0"))
    async with running(table.run()), within(20):
        table.put(subject, make_entity("e0"))
        await table.flush()
        table.remove(subject, make_entity("e0", op="remove"))
        await table.flush()

    await session.api("STREAM.MSG.DELETE.KGENTS_ENTITY", {"seq": table.expected_seq(subject)}, msgspec.Raw)

    with pytest.raises(ExceptionGroup) as group:
        async with within(20):
            await table.run()
    assert [f"lost the removal of {subject}" in str(each) for each in group.value.exceptions] == [True]
    await table.load()
    assert subject in table.rows  # so that its writer sees the difference


async def test_a_server_that_stood_still_during_a_comparison_does_not_put_off_the_next_one(
    topology: StateTable[TopologyEntity], bus: Bus, server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standing still costs nothing. If it counted, the next comparison would be due after a quarter of an hour."""
    monkeypatch.setattr(losses, "COMPARED_SOONER", 1_000)
    compare, is_compared = losses.lost_rows, asyncio.Event()

    async def hang(*arguments: Any) -> dict[str, int]:
        monkeypatch.setattr(state_audit, "lost_rows", compare)
        server.pause()
        asyncio.get_running_loop().call_later(1.0, server.resume)
        lost = await compare(*arguments)
        is_compared.set()
        return lost

    monkeypatch.setattr(state_audit, "lost_rows", hang)
    topology.put(SUBJECTS[0], make_topology("e0", status="running"))
    async with within(20):
        await topology.flush()
        await is_compared.wait()
    seq = topology.rows[SUBJECTS[3]].seq

    await purge_before(await bus.session(), "KGENTS_TOPOLOGY", SUBJECTS[3], 10_000)

    async def is_healed() -> bool:
        return await last_seq(bus, SUBJECTS[3]) > seq

    await eventually(is_healed)


async def test_what_a_limit_drops_is_a_failure_and_published_again_once_it_is_lifted(
    writer: StateTable[Entity], bus: Bus, publisher: Publisher
) -> None:
    for entity in ENTITIES:
        writer.put(subject_of(entity), entity)
    async with within(20):
        await writer.flush()

    await limit(bus, "KGENTS_ENTITY", max_msgs=5)
    await eventually(lambda: len(writer.failures) == 15)

    for entity in ENTITIES:  # a collector polls, and reports the same
        writer.put(subject_of(entity), entity)
    await stays(lambda: publisher.stored == 20, for_s=1)
    assert "max_msgs = 5" in writer.failure
    assert "kgents provision" in writer.failure

    await limit(bus, "KGENTS_ENTITY", max_msgs=-1)
    async with within(20):
        await writer.flush()

    assert len(await held(bus, ENTITY, "KGENTS_ENTITY")) == 20
    assert writer.failures == {}


async def test_what_a_limit_drops_that_is_set_during_a_comparison_is_not_published_again(
    writer: StateTable[Entity], bus: Bus, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for entity in ENTITIES:
        writer.put(subject_of(entity), entity)
    async with within(20):
        await writer.flush()
    compare = losses.lost_rows

    async def limited(*arguments: Any) -> dict[str, int]:
        monkeypatch.setattr(state_audit, "lost_rows", compare)
        await limit(bus, "KGENTS_ENTITY", max_msgs=5)
        return await compare(*arguments)

    monkeypatch.setattr(state_audit, "lost_rows", limited)
    failed = make_entity("e0", status="failed")
    writer.put(subject_of(failed), failed)

    await eventually(lambda: len(writer.failures) == 15 and publisher.stored >= 21)
    assert publisher.stored == 21


async def test_what_changes_while_a_limit_drops_it_is_published(writer: StateTable[Entity], bus: Bus) -> None:
    for entity in ENTITIES:
        writer.put(subject_of(entity), entity)
    async with within(20):
        await writer.flush()
    await limit(bus, "KGENTS_ENTITY", max_msgs=5)
    await eventually(lambda: len(writer.failures) == 15)

    failed = make_entity("e0", status="failed")
    writer.put(subject_of(failed), failed)

    async def is_published() -> bool:
        return (await held(bus, ENTITY, "KGENTS_ENTITY")).get(subject_of(failed)) == failed

    await eventually(is_published)


async def test_a_reader_takes_what_is_lost_for_removed_unless_a_limit_drops_it(
    table: StateTable[Entity], bus: Bus
) -> None:
    async with running(table.run()):
        for entity in ENTITIES:
            table.put(subject_of(entity), entity)
        async with within(20):
            await table.flush()
    view = StateView(bus, ENTITY, "KGENTS_ENTITY", [subjects.pattern("entity")])
    await view.load()
    absence = Absence(bus, "KGENTS_ENTITY", [subjects.pattern("entity")], lambda: view.rows)
    gone: list[str] = []

    async def watch() -> None:
        async for found in absence.found():
            for subject in filter(absence.confirms, found):
                view.vanished(subject)
                gone.append(subject)

    async with running(watch()):
        await limit(bus, "KGENTS_ENTITY", max_msgs=12)
        await stays(lambda: gone == [], for_s=1)

        await limit(bus, "KGENTS_ENTITY", max_msgs=-1)
        await eventually(lambda: len(gone) == 8)

        assert set(gone) == {subject_of(each) for each in ENTITIES[:8]}
        assert len(view.rows) == 12


async def test_what_the_reader_has_not_handled_yet_is_not_taken_for_removed(
    writer: StateTable[Entity], bus: Bus
) -> None:
    writer.put(subject_of(ENTITIES[0]), ENTITIES[0])
    async with within(20):
        await writer.flush()
    view = StateView(bus, ENTITY, "KGENTS_ENTITY", [subjects.pattern("entity")])
    await view.load()
    session = await bus.session()
    filters = [subjects.pattern("topology")]  # none of its rows is there

    assert await losses.lost_rows(session, "KGENTS_TOPOLOGY", filters, view.rows, 0) == {}
    assert await losses.lost_rows(session, "KGENTS_TOPOLOGY", filters, view.rows, 1) == {subject_of(ENTITIES[0]): 0}


async def test_the_limits_of_our_own_streams_are_none(bus: Bus) -> None:
    session = await bus.session()
    for signal in ("ENTITY", "TOPOLOGY", "HEALTH", "ALERT", "META"):
        assert limit_of(await stream_info(session, f"KGENTS_{signal}")) == ""
