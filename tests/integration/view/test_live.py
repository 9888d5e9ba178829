"""The joined view while it moves: snapshot, mark, changes, over reconnects and streams made again."""

import pytest

from kgents_shared.bus import losses
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.jetstream import purge_before
from kgents_shared.contract.codec import encode
from kgents_shared.contract.errors import BusTimeoutError
from kgents_shared.view.live import snapshot
from kgents_shared.view.selection import select
from support.build import make_ref
from support.live_reader import Reader, line_of
from support.nats_server import NatsServer
from support.proxy import Proxy
from support.running import running
from support.state import make_alert, make_health, make_topology, publish, remake, removed
from support.truth import Truth
from support.waiting import eventually, pause


async def test_a_snapshot_joins_topology_health_and_alerts_and_ends_with_one_mark(bus: Bus) -> None:
    await publish(bus, make_health("a", level="critical"), make_alert("a"), make_topology("a"), make_topology("b"))
    reader = Reader(bus)
    async with running(reader.run()):
        await reader.until_complete()

    assert sorted(reader.lines) == ["a: - → running critical", "b: - → running unknown"]
    assert reader.entities[make_ref("a")] == ("running", "critical", 1)
    assert [(update.is_snapshot, update.is_complete) for update in reader.updates] == [(True, False), (True, True)]


async def test_an_empty_pipeline_is_complete_at_once(bus: Bus) -> None:
    reader = Reader(bus)
    async with running(reader.run()):
        await reader.until_complete()

    assert reader.changes == []


async def test_once_any_service_has_reported_what_none_keeps_up_to_date_is_unknown_whenever_one_began_to_read(
    bus: Bus,
) -> None:
    await publish(bus, make_topology("a"), make_health("a"))
    reader, later = Reader(bus), Reader(bus)
    async with running(reader.run()):
        await reader.until_complete()
        assert reader.entities[make_ref("a")][1] == "healthy"
        await (await bus.session()).request(
            "kgents.meta.test.collector-k8s.one", encode(Truth(bus).heartbeat("in_sync"))
        )
        await reader.until(lambda: reader.entities[make_ref("a")][1] == "unknown")
    async with running(later.run()):
        await later.until_complete()
        assert later.entities == reader.entities


async def test_changes_of_each_signal_follow_in_order(bus: Bus) -> None:
    reader = Reader(bus)
    async with running(reader.run()):
        await reader.until_complete()
        await publish(bus, make_topology("a"))
        await reader.until(lambda: len(reader.changes) == 1)
        await publish(bus, make_health("a", level="warning"))
        await reader.until(lambda: len(reader.changes) == 2)
        await publish(bus, make_health("a"), make_health("a", level="critical"))
        await reader.until(lambda: len(reader.changes) == 4)
        await publish(bus, removed(make_topology("a")))
        await reader.until(lambda: len(reader.changes) == 5)

    assert reader.lines == [
        "a: - → running unknown",
        "a: running unknown → running warning",
        "a: running warning → running healthy",
        "a: running healthy → running critical",
        "a: running critical → gone",
    ]
    assert [change.signal for change in reader.changes] == ["topology", "health", "health", "health", "topology"]
    assert b"is gone (deleted)" in (reader.changes[-1].removal or b"")


async def test_what_leaves_a_selection_is_not_gone(bus: Bus) -> None:
    await publish(bus, make_topology("a"), make_topology("b"), make_health("a", level="critical"), make_health("b"))
    reader = Reader(bus, select(level="critical"))
    async with running(reader.run()):
        await reader.until_complete()
        await publish(bus, make_health("a"), make_health("b", level="critical"))
        await reader.until(lambda: len(reader.changes) == 3)

    assert reader.lines == ["a: - → running critical", "a: running critical → not selected", "b: - → running critical"]


async def test_a_killed_server_loses_and_repeats_nothing(bus: Bus, server: NatsServer) -> None:
    reader = Reader(bus)
    async with running(reader.run()):
        await reader.until_complete()
        for round_ in range(3):
            await publish(bus, *(make_topology(f"p{number}", status=f"s{round_}") for number in range(50)))
            server.kill()
            await server.start()
            await publish(bus, *(make_health(f"p{number}", since=None) for number in range(round_ + 1)))
        await publish(bus, make_topology("last"))
        await reader.until(lambda: "last: - → running unknown" in reader.lines)
        await reader.until(lambda: len(reader.changes) == 154)

    assert {status for status, _, _ in reader.entities.values()} == {"s2", "running"}
    seqs = [change.seq for change in reader.changes if change.signal == "topology"]
    assert seqs == sorted(set(seqs))


async def test_a_stream_made_again_is_a_reset_and_what_vanished_is_removed(bus: Bus, server: NatsServer) -> None:
    await publish(bus, make_topology("a"), make_topology("b"), make_topology("c"), make_health("a"))
    async with Proxy(server.port) as proxy, Bus(NatsConfig(url=proxy.url), name="reader") as cut_off:
        reader = Reader(cut_off)
        async with running(reader.run()):
            await reader.until_complete()
            proxy.refuse()  # it sees no stream that is made and not filled yet
            await remake(bus, "KGENTS_TOPOLOGY")
            await publish(bus, make_topology("b", status="failed"), make_topology("c"))
            proxy.flow()
            await reader.until_complete(times=2)
            await reader.until(lambda: "a: running healthy → gone" in reader.lines)
            await reader.until(lambda: "b: running unknown → failed unknown" in reader.lines)

    assert [update.reset for update in reader.updates if update.reset] == ["topology"]
    assert sum("c:" in line for line in reader.lines) == 1  # it is the same as before
    assert set(reader.entities) == {make_ref("b"), make_ref("c")}
    after = [change for update in reader.updates if update.after_reset for change in update.changes]
    assert "a: running healthy → gone" in map(line_of, after)


async def test_the_mark_after_a_reset_comes_when_the_new_snapshot_is_complete(bus: Bus, server: NatsServer) -> None:
    count = 1_200  # more than one batch of the server
    await publish(bus, make_topology("a"))
    async with Proxy(server.port) as proxy, Bus(NatsConfig(url=proxy.url), name="reader") as cut_off:
        reader = Reader(cut_off)
        async with running(reader.run()):
            await reader.until_complete()
            proxy.refuse()
            await remake(bus, "KGENTS_TOPOLOGY")
            await publish(bus, *(make_topology(f"p{number}") for number in range(count)))
            proxy.flow()
            await reader.until_complete(times=2)

    (first, second) = (number for number, update in enumerate(reader.updates) if update.is_complete)
    assert sum(len(update.changes) for update in reader.updates[first:second]) == count + 1
    assert {update.after_reset for update in reader.updates[first + 1 :]} == {True}


async def test_a_snapshot_reads_only_what_is_selected(bus: Bus) -> None:
    await publish(
        bus,
        make_topology("a", labels={"app": "cart"}),
        make_topology("b", labels={"app": "pay"}),
        make_topology(ref=make_ref("n1", kind="node", namespace="")),
        make_health("a", level="warning"),
        removed(make_topology("d")),
    )

    found = await snapshot(bus, select(kind="pod", label="app=cart", level="warning,critical"))
    nodes = await snapshot(bus, select(kind="node", namespace=""))

    assert [each.ref.name for each in found.entities()] == ["a"]
    assert [each.ref.name for each in nodes.entities()] == ["n1"]
    assert len(nodes) == 1


async def test_a_snapshot_that_cannot_be_read_in_time_is_an_error(bus: Bus, server: NatsServer) -> None:
    await bus.session()
    server.pause()
    try:
        with pytest.raises(BusTimeoutError, match="KGENTS_TOPOLOGY"):
            await snapshot(bus, select(), timeout_s=0.5)
    finally:
        server.resume()


async def test_what_the_stream_lost_is_removed_unless_it_is_published_again(
    bus: Bus, server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "INTERVAL_S", 0.1)
    monkeypatch.setattr(losses, "COMPARED_EVERY", 1)
    monkeypatch.setattr(losses, "COMPARED_SOONER", 1)
    await publish(bus, *(make_topology(name) for name in ("gone", "back", "kept")), make_health("gone"))
    async with Proxy(server.port) as proxy, Bus(NatsConfig(url=proxy.url), name="reader") as behind:
        reader = Reader(behind)
        async with running(reader.run()):
            await reader.until_complete()
            proxy.stall()  # two comparisons in between would find it gone, rightly
            session = await bus.session()
            for name in ("gone", "back"):
                await purge_before(session, "KGENTS_TOPOLOGY", make_ref(name).subject("topology"), 10_000)
            await publish(bus, make_topology("back"))
            proxy.flow()
            await reader.until(lambda: set(reader.entities) == {make_ref("back"), make_ref("kept")})

        assert [each.after for each in reader.changes if each.is_gone] == [None]


async def test_a_reader_that_starts_while_the_server_answers_nothing_reads_later(server: NatsServer, bus: Bus) -> None:
    await publish(bus, make_topology("a"))
    async with Proxy(server.port) as proxy:
        nats = NatsConfig(url=proxy.url, request_timeout_s=0.3)
        async with Bus(nats, name="test") as through:
            await through.session()
            proxy.half_open_at(b"STREAM.INFO.KGENTS_META")
            reader = Reader(through)
            async with running(reader.run()) as (task,):
                await eventually(lambda: not proxy.is_answering)
                await pause(0.6)
                assert not task.done()
                proxy.flow()
                await reader.until_complete()
