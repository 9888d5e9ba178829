"""Writing a state stream: only differences, guarded, coalesced; and who else writes is noticed."""

import asyncio

import pytest

from kgents_shared.bus import desired, state_audit, tombstones
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import last_message, stream_info
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, TOPOLOGY, encode
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.errors import SteppedDownError
from kgents_shared.contract.topology import TopologyEntity
from support.build import make_entity, make_ref, make_removal, subject_of
from support.nats_server import NatsServer
from support.running import running
from support.state import remake
from support.waiting import eventually, pause, stays, within

A = make_entity("a")
Table = StateTable[Entity]


async def flushed(table: Table) -> None:
    async with within(20):
        await table.flush()


async def test_the_same_again_is_not_published(writer: Table, publisher: Publisher) -> None:
    for _ in range(5):
        writer.put(subject_of(A), make_entity("a"))
        await flushed(writer)

    assert publisher.stored == 1


async def test_there_and_back_again_before_anything_was_sent_publishes_nothing(
    writer: Table, publisher: Publisher
) -> None:
    writer.put(subject_of(A), A)
    await flushed(writer)

    writer.put(subject_of(A), make_entity("a", status="failed"))
    writer.put(subject_of(A), A)
    await flushed(writer)

    assert publisher.stored == 1


async def test_while_nats_is_away_only_the_latest_of_each_subject_waits(
    writer: Table, publisher: Publisher, server: NatsServer
) -> None:
    server.kill()
    await asyncio.sleep(0.2)
    for number in range(10_000):
        entity = make_entity(f"p{number % 10}", reason=str(number))
        writer.put(subject_of(entity), entity)
    assert writer.backlog == 10

    await server.start()
    await flushed(writer)

    assert publisher.stored <= 20  # the ten that waited, and what was on its way when the connection broke
    assert {row.message.reason for row in writer.rows.values()} == {str(number) for number in range(9_990, 10_000)}


async def test_an_entity_that_comes_back_after_its_removal_is_published(writer: Table, publisher: Publisher) -> None:
    writer.put(subject_of(A), A)
    writer.remove(subject_of(A), make_removal(A))
    writer.put(subject_of(A), A)
    await flushed(writer)
    writer.remove(subject_of(A), make_removal(A))
    await flushed(writer)
    writer.put(subject_of(A), A)
    await flushed(writer)

    assert publisher.stored == 3
    assert writer.rows[subject_of(A)].message == A


async def test_true_and_one_are_different_values(writer: Table, publisher: Publisher) -> None:
    for ready in (True, 1, 1):
        writer.put(subject_of(A), make_entity("a", attributes={"ready": ready}))
        await flushed(writer)

    assert writer.rows[subject_of(A)].message.attributes["ready"] is not True
    assert publisher.stored == 2


async def test_a_message_that_is_too_large_holds_up_no_other(writer: Table) -> None:
    large = make_entity(ref=make_ref("x" * 2_000_000))  # its identity alone
    writer.put(subject_of(large), large)
    writer.put(subject_of(A), A)

    await eventually(lambda: subject_of(A) in writer.rows)

    assert "max_payload" in writer.failure


async def test_a_foreign_write_makes_the_writer_step_down_when_it_touches_the_subject(table: Table, bus: Bus) -> None:
    task = asyncio.create_task(table.run())
    table.put(subject_of(A), A)
    await flushed(table)
    session = await bus.session()
    await session.request(subject_of(A), encode(make_entity("a", status="pending")))

    table.put(subject_of(A), make_entity("a", status="failed"))
    with pytest.raises(ExceptionGroup) as raised:
        async with within(10):
            await task

    assert raised.group_contains(SteppedDownError)


async def test_a_foreign_write_elsewhere_under_our_subjects_is_found_by_the_audit(
    table: Table, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_audit, "AUDIT_INTERVAL_S", 0.1)
    task = asyncio.create_task(table.run())
    table.put(subject_of(A), A)
    await flushed(table)

    session = await bus.session()
    await session.request(subject_of(make_entity("b")), encode(make_entity("b")))
    with pytest.raises(ExceptionGroup) as raised:
        async with within(10):
            await task

    assert raised.group_contains(SteppedDownError)


async def test_a_stream_that_is_created_again_makes_the_writer_step_down_though_its_newest_message_was_to_expire(
    table: Table, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_audit, "AUDIT_INTERVAL_S", 0.1)
    task = asyncio.create_task(table.run())
    b = make_entity("b")
    for message in (A, b):
        table.put(subject_of(message), message)
    await flushed(table)
    table.remove(subject_of(b), make_removal(b))
    await flushed(table)
    await eventually(lambda: table._audit._stream_created)
    await pause(0.3)  # the audit has accepted the removal as the newest message, too

    await remake(bus, "KGENTS_ENTITY")
    with pytest.raises(ExceptionGroup) as raised:
        async with within(10):
            await task

    assert raised.group_contains(SteppedDownError, match="created again")


async def test_the_writing_of_another_source_is_no_foreign_write(
    writer: Table, bus: Bus, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_audit, "AUDIT_INTERVAL_S", 0.05)
    session = await bus.session()
    for number in range(20):
        other = make_entity("a", source="docker", reason=str(number))
        await session.request(subject_of(other), encode(other))
        writer.put(subject_of(A), make_entity("a", reason=str(number)))
        await flushed(writer)
        await asyncio.sleep(0.02)

    assert publisher.stored == 20


async def test_what_is_put_without_the_lease_waits_for_it(bus: Bus, publisher: Publisher, table: Table) -> None:
    is_ours = False
    suspended = StateTable(
        bus, table._codec, "KGENTS_ENTITY", table._filters, publisher=publisher, may_write=lambda: is_ours
    )
    await suspended.load()
    async with running(suspended.run()):
        for number in range(3):
            suspended.put(subject_of(A), make_entity("a", reason=str(number)))
            await stays(lambda: publisher.stored == 0, for_s=0.3)
        is_ours = True
        await flushed(suspended)

    assert publisher.stored == 1
    assert suspended.rows[subject_of(A)].message.reason == "2"


async def test_a_flush_waits_for_what_is_put_while_it_waits(writer: Table) -> None:
    async def keep_wishing() -> None:
        for number in range(50):
            writer.put(subject_of(A), make_entity("a", reason=str(number)))
            await asyncio.sleep(0)

    async with running(keep_wishing()) as (task,):
        await flushed(writer)
        await task
        await flushed(writer)

    assert writer.rows[subject_of(A)].message.reason == "49"


async def test_garbage_on_our_subject_makes_the_writer_step_down(table: Table, bus: Bus) -> None:
    task = asyncio.create_task(table.run())
    table.put(subject_of(A), A)
    await flushed(table)
    session = await bus.session()
    await session.request(subject_of(A), b"garbage")

    table.put(subject_of(A), make_entity("a", status="failed"))
    with pytest.raises(ExceptionGroup) as raised:
        async with within(10):
            await task

    assert raised.group_contains(SteppedDownError)


async def test_a_message_that_never_fits_does_not_blind_the_audit(
    table: Table, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_audit, "AUDIT_INTERVAL_S", 0.1)
    task = asyncio.create_task(table.run())
    large = make_entity("large", labels={"blob": "x" * 2_000_000})
    table.put(subject_of(large), large)
    await asyncio.sleep(0.3)

    session = await bus.session()
    await session.request(subject_of(A), encode(A))
    with pytest.raises(ExceptionGroup) as raised:
        async with within(10):
            await task

    assert raised.group_contains(SteppedDownError)


async def test_a_newest_message_that_ends_by_itself_is_no_foreign_write(
    writer: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_audit, "AUDIT_INTERVAL_S", 0.1)
    monkeypatch.setattr(desired, "REMOVAL_TTL_S", 1)
    writer.put(subject_of(make_entity("b")), make_entity("b"))
    writer.put(subject_of(A), A)
    await flushed(writer)
    writer.remove(subject_of(A), make_removal(A))
    await flushed(writer)

    await asyncio.sleep(3)

    writer.put(subject_of(make_entity("c")), make_entity("c"))
    await flushed(writer)


async def test_a_removal_names_the_incarnation_that_is_published(writer: Table, bus: Bus, server: NatsServer) -> None:
    writer.put(subject_of(A), make_entity("a", uid="first"))
    await flushed(writer)
    server.pause()
    writer.put(subject_of(A), make_entity("a", uid="second"))
    writer.remove(subject_of(A), make_removal(make_entity("a", uid="second")))
    server.resume()
    await flushed(writer)

    last = await last_message(await bus.session(), "KGENTS_ENTITY", subject_of(A))
    assert last is not None
    removal = ENTITY.decode(last.payload)
    stream = await stream_info(await bus.session(), "KGENTS_ENTITY")
    assert (removal.op, removal.uid) == ("remove", "first" if stream.last_seq == 2 else "second")


async def test_the_history_of_a_removed_entity_expires_before_its_removal_does(
    bus: Bus, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_audit, "AUDIT_INTERVAL_S", 0.1)
    monkeypatch.setattr(tombstones, "HISTORY_OF_REMOVED_S", 0)
    entity = TopologyEntity(text="", ref=A.ref, status="running")
    subject = A.ref.subject("topology")
    topology = StateTable(
        bus, TOPOLOGY, "KGENTS_TOPOLOGY", [subjects.pattern("topology", cluster="test")], publisher=publisher
    )
    await topology.load()
    async with running(topology.run()):
        for status in ("running", "failed", "pending"):
            topology.put(subject, TopologyEntity(text="", ref=A.ref, status=status))
            async with within(10):
                await topology.flush()
        topology.remove(subject, TopologyEntity(text="", ref=entity.ref, op="remove"))
        session = await bus.session()

        async def is_alone() -> bool:
            info = await session.api("STREAM.INFO.KGENTS_TOPOLOGY", {"subjects_filter": subject}, dict)
            return int(info["state"]["subjects"][subject]) == 1

        await eventually(is_alone)

        topology.put(subject, entity)  # and its return is no conflict
        async with within(10):
            await topology.flush()
