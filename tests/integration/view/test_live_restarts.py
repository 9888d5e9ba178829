"""The joined view of a reader that was away: it goes on where it stopped, and misses nothing."""

from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path

import pytest
from msgspec.structs import replace

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Position
from kgents_shared.contract.errors import ConfigError
from kgents_shared.view.fold import EntityChange, Row
from kgents_shared.view.live import Live
from kgents_shared.view.position import PositionFile, PositionFileInUseError
from kgents_shared.view.selection import select
from support.build import make_ref
from support.live_reader import Reader, line_of
from support.running import running
from support.state import encoded, make_health, make_topology, publish, remake, removed, subject_of
from support.waiting import eventually

DAY_NS = 86_400 * 10**9


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
