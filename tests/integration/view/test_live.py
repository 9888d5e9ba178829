"""The joined view while it moves: snapshot, mark, changes, over reconnects, restarts and streams made again."""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from pathlib import Path

import pytest
from msgspec.structs import replace

from kgents_shared.bus import losses
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.consume import Position
from kgents_shared.bus.jetstream import purge_before
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import BusTimeoutError, ConfigError
from kgents_shared.view.entity import EntityView
from kgents_shared.view.fold import EntityChange, Row
from kgents_shared.view.live import Live, Update, snapshot
from kgents_shared.view.position import PositionFile, PositionFileInUseError
from kgents_shared.view.selection import Selection, select
from support.build import make_ref
from support.nats_server import NatsServer
from support.proxy import Proxy
from support.running import running
from support.state import encoded, make_alert, make_health, make_topology, publish, remake, removed, subject_of
from support.truth import Truth
from support.waiting import eventually, pause

DAY_NS = 86_400 * 10**9


class Reader:
    """Reads in the background and keeps what it learns."""

    def __init__(self, bus: Bus, selection: Selection | None = None, file: PositionFile | None = None) -> None:
        self.live = Live(bus, selection or select(), position_file=file)
        self.updates: list[Update] = []

    async def run(self) -> None:
        async with aclosing(self.live.updates()) as updates:
            async for update in updates:
                self.updates.append(update)

    async def until(self, claim: Callable[[], bool], within_s: float = 30) -> None:
        await eventually(claim, within_s)

    async def until_complete(self, times: int = 1) -> None:
        await self.until(lambda: sum(update.is_complete for update in self.updates) >= times)

    @property
    def changes(self) -> list[EntityChange]:
        return [change for update in self.updates for change in update.changes]

    @property
    def lines(self) -> list[str]:
        return [line_of(change) for change in self.changes]

    @property
    def entities(self) -> dict[Ref, tuple[str, str, int]]:
        return {each.ref: (each.status, each.level, len(each.firing)) for each in self.live.fold.entities()}


def line_of(change: EntityChange) -> str:
    view = change.after or change.before
    assert view is not None
    what = words(change.after) if change.after else "gone" if change.is_gone else "not selected"
    return f"{view.ref.name}: {words(change.before) if change.before else '-'} → {what}"


def words(view: EntityView) -> str:
    return f"{view.status} {view.level}"


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


async def test_a_restart_goes_on_where_it_stopped_with_everything_known(bus: Bus, tmp_path: Path) -> None:
    await publish(bus, make_topology("a"), make_topology("b"), make_health("a"))
    with PositionFile(tmp_path / "position", "all") as file:
        first = Reader(bus, file=file)
        async with running(first.run()):
            await first.until_complete()
            await publish(bus, make_topology("c"))
            await first.until(lambda: len(first.changes) == 3)
            await publish(bus, make_health("c"))  # when this one is asked for, the one before counts as handled
            await first.until(lambda: len(first.changes) == 4)
    await publish(bus, make_health("a", level="critical"), make_health("a"), removed(make_topology("b")))

    with PositionFile(tmp_path / "position", "all") as file:
        second = Reader(bus, file=file)
        async with running(second.run()):
            await second.until_complete()

    missed = [line for line in second.lines if not line.startswith("c")]
    assert sorted(missed) == [
        "a: running critical → running healthy",
        "a: running healthy → running critical",
        "b: running unknown → gone",
    ]
    assert set(second.entities) == {make_ref("a"), make_ref("c")}
    assert not any(update.reset or update.is_snapshot for update in second.updates)


async def test_what_was_removed_before_a_restart_stays_removed(bus: Bus, tmp_path: Path) -> None:
    await publish(bus, make_topology("a"))
    with PositionFile(tmp_path / "position", "all") as file:
        first = Reader(bus, file=file)
        async with running(first.run()):
            await first.until_complete()
            await publish(bus, removed(make_topology("a")))
            await first.until(lambda: len(first.changes) == 2)
            await publish(bus, make_topology("b"))  # given when the removal is saved
            await first.until(lambda: len(first.changes) == 3)
    with PositionFile(tmp_path / "position", "all") as file:
        second = Reader(bus, file=file)
        async with running(second.run()):
            await second.until_complete()

    assert set(second.entities) == {make_ref("b")}


async def test_what_vanished_during_a_gap_longer_than_removals_are_kept_is_removed(bus: Bus, tmp_path: Path) -> None:
    await publish(bus, make_topology("a"), make_topology("b"))
    with PositionFile(tmp_path / "position", "all") as file:
        first = Reader(bus, file=file)
        async with running(first.run()):
            await first.until_complete()
            await publish(bus, make_topology("c"))
            await first.until(lambda: len(first.changes) == 3)
        file.save((), older(file.positions()))
    session = await bus.session()
    await publish(bus, removed(make_topology("a")))
    body = {"filter": make_ref("a").subject("topology")}
    await session.api("STREAM.PURGE.KGENTS_TOPOLOGY", body, dict)  # its removal has expired

    with PositionFile(tmp_path / "position", "all") as file:
        second = Reader(bus, file=file)
        async with running(second.run()):
            await second.until_complete()

    assert "a: running unknown → gone" in second.lines
    assert not any(line.startswith("b") for line in second.lines)
    assert {update.reset for update in second.updates if update.reset} == {
        "topology"
    }  # in the others nothing was missed


def older(positions: Mapping[str, Position]) -> dict[str, Position]:
    """The same positions, their last messages from before removals of today began to expire."""
    return {signal: replace(each, time_ns=each.time_ns - 8 * DAY_NS) for signal, each in positions.items()}


async def test_a_position_of_long_ago_is_no_reset_where_nothing_can_have_been_missed(bus: Bus, tmp_path: Path) -> None:
    await publish(bus, make_topology("a"), make_topology("b"))
    with PositionFile(tmp_path / "position", "all") as file:
        first = Reader(bus, file=file)
        async with running(first.run()):
            await first.until_complete()
            await publish(bus, make_health("a"))
            await first.until(lambda: len(first.changes) == 3)
            await first.until(lambda: first.live.positions["health"].seq > 0)  # it is handled
        file.save((), older(file.positions()))
    await publish(bus, make_topology("c"))  # everything stored since is still there

    with PositionFile(tmp_path / "position", "all") as file:
        second = Reader(bus, file=file)
        async with running(second.run()):
            await second.until_complete()

    assert second.lines == ["c: - → running unknown"]
    assert not any(update.reset for update in second.updates)


async def test_a_stream_made_again_while_the_reader_was_away_is_a_reset(bus: Bus, tmp_path: Path) -> None:
    await publish(bus, make_topology("a"), make_topology("b"))
    with PositionFile(tmp_path / "position", "all") as file:
        first = Reader(bus, file=file)
        async with running(first.run()):
            await first.until_complete()
            await publish(bus, make_health("a"))
            await first.until(lambda: len(first.changes) == 3)
    await remake(bus, "KGENTS_TOPOLOGY")
    await publish(bus, make_topology("b"))

    with PositionFile(tmp_path / "position", "all") as file:
        second = Reader(bus, file=file)
        async with running(second.run()):
            await second.until_complete()

    assert [update.reset for update in second.updates if update.reset] == ["topology"]
    assert [line for line in second.lines if line.endswith("gone")] in (
        ["a: running healthy → gone"],
        ["a: running unknown → gone"],
    )


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


async def test_rows_of_a_snapshot_that_was_not_saved_whole_are_no_entities(bus: Bus, tmp_path: Path) -> None:
    ghost = make_topology("ghost")
    with PositionFile(tmp_path / "position", "all") as file:
        file.save([Row(subject_of(ghost), encoded(ghost))], {})  # and no position: it was killed within
        first = Reader(bus, file=file)
        async with running(first.run()):
            await first.until_complete()
    with PositionFile(tmp_path / "position", "all") as file:
        second = Reader(bus, file=file)
        async with running(second.run()):
            await second.until_complete()

    assert first.entities == second.entities == {}


async def test_a_run_that_ends_within_its_snapshot_begins_again(bus: Bus, tmp_path: Path) -> None:
    await publish(bus, *(make_topology(f"p{number}") for number in range(3)))
    with PositionFile(tmp_path / "position", "all") as file:
        async with aclosing(Live(bus, select(), position_file=file).updates()) as updates:
            await anext(updates)
        assert file.positions() == {}
        again = Reader(bus, file=file)
        async with running(again.run()):
            await again.until_complete()

    assert len(again.changes) == 3


@pytest.mark.parametrize("is_first_run", [True, False])
async def test_what_a_killed_reader_was_just_given_is_removed_when_it_vanishes(
    bus: Bus, tmp_path: Path, is_first_run: bool
) -> None:
    with PositionFile(tmp_path / "position", "all") as file:
        if not is_first_run:
            before = Reader(bus, file=file)
            async with running(before.run()):
                await before.until_complete()
                await eventually(lambda: len(file.positions()) == 3)
        await publish(bus, make_topology("a"))
        async with aclosing(Live(bus, select(), position_file=file).updates()) as updates:
            given: list[EntityChange] = []
            async for update in updates:
                given += update.changes
                if given:
                    break  # killed before it asks for more
    await remake(bus, "KGENTS_TOPOLOGY")

    with PositionFile(tmp_path / "position", "all") as file:
        again = Reader(bus, file=file)
        async with running(again.run()):
            await again.until_complete()

    assert [line_of(change) for change in given] == ["a: - → running unknown"]
    assert again.lines == ["a: unknown unknown → gone"]


async def test_a_position_file_is_of_one_selection_and_one_process(tmp_path: Path) -> None:
    with PositionFile(tmp_path / "position", "--kind pod"), pytest.raises(PositionFileInUseError, match="other reader"):
        PositionFile(tmp_path / "position", "--kind pod")
    with pytest.raises(ConfigError, match="expected one of '--kind node', found one of '--kind pod'"):
        PositionFile(tmp_path / "position", "--kind node")
    (tmp_path / "notes").write_text("something else " * 100)
    with pytest.raises(ConfigError, match="expected a position file"):
        PositionFile(tmp_path / "notes", "")


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
