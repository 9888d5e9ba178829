"""Messages as they come: logs from a time on, state and its changes, and logs about selected entities."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Batch, Position
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.view.feed import feed, log, selected_log, start_of
from kgents_shared.view.selection import Selection, select
from support.build import NOW_NS
from support.nats_server import NatsServer
from support.running import running
from support.state import make_event, make_health, make_topology, publish, remake, removed
from support.waiting import eventually, within

EVENTS = select().filters("event")


class Reader:
    """Reads in the background and keeps what it is given."""

    def __init__(self, batches: AsyncGenerator[tuple[str, Batch], None] | AsyncGenerator[Batch, None]) -> None:
        self.batches: list[Batch] = []
        self._source = batches
        self._news = asyncio.Event()

    async def run(self) -> None:
        async with aclosing(self._source) as source:
            async for item in source:
                self.batches.append(item[1] if isinstance(item, tuple) else item)
                self._news.set()

    async def until(self, claim: Callable[[], bool], within_s: float = 30) -> None:
        async with within(within_s):
            while not claim():
                self._news.clear()
                await self._news.wait()

    async def until_caught_up(self) -> None:
        await self.until(lambda: any(batch.caught_up for batch in self.batches))

    @property
    def texts(self) -> list[str]:
        payloads = [each.payload for batch in self.batches for each in batch.deliveries]
        return [msgspec.json.decode(payload)["text"].removeprefix("pod shop/") for payload in payloads]

    @property
    def resets(self) -> int:
        return sum(batch.reset for batch in self.batches)


async def from_start(bus: Bus) -> Position:
    return await start_of(await bus.session(), "event", EVENTS, since=datetime(2000, 1, 1, tzinfo=UTC))


async def about(bus: Bus, selection: Selection) -> AsyncGenerator[Batch, None]:
    return selected_log(bus, selection, "event", start=await from_start(bus))


async def test_a_log_begins_with_what_comes_next(bus: Bus) -> None:
    await publish(bus, make_event("a", number=1))
    reader = Reader(feed(bus, {"event": EVENTS}))
    async with running(reader.run()):
        await reader.until_caught_up()
        await publish(bus, make_event("a", number=2))
        await reader.until(lambda: bool(reader.texts))

    assert reader.texts == ["a: BackOff 2"]


async def test_a_log_begins_with_what_was_stored_since_a_time(bus: Bus) -> None:
    await publish(bus, make_event("a", number=1))
    await asyncio.sleep(0.05)
    info = await (await bus.session()).api("STREAM.INFO.KGENTS_EVENT", None, dict)
    since = datetime.fromisoformat(info["ts"])
    await publish(bus, make_event("a", number=2), make_event("b", number=3))
    reader = Reader(feed(bus, {"event": EVENTS}, since=since))
    later = Reader(feed(bus, {"event": EVENTS}, since=since + timedelta(hours=1)))
    async with running(reader.run(), later.run()):
        await reader.until(lambda: len(reader.texts) == 2)
        await later.until_caught_up()

    assert reader.texts == ["a: BackOff 2", "b: BackOff 3"]
    assert later.texts == []


async def test_state_begins_with_what_is_there_and_goes_on_with_changes_and_removals(bus: Bus) -> None:
    await publish(bus, make_topology("a"), make_topology("b"), removed(make_topology("b")), make_health("a"))
    filters = {signal: select().filters(signal) for signal in ("topology", "health")}
    reader = Reader(feed(bus, filters))
    async with running(reader.run()):
        await reader.until(lambda: sum(batch.caught_up for batch in reader.batches) == 2)
        snapshot = list(reader.texts)
        await publish(bus, removed(make_topology("a")))
        await reader.until(lambda: len(reader.texts) == 3)

    assert sorted(snapshot) == ["a appeared: running", "a is healthy"]
    assert reader.texts[-1] == "a is gone (deleted)"


async def test_state_since_a_time_is_its_history_removals_included(bus: Bus) -> None:
    await publish(bus, make_topology("a"), make_topology("a", status="failed"), removed(make_topology("a")))
    filters = {"topology": select().filters("topology")}
    reader = Reader(feed(bus, filters, since=datetime(2000, 1, 1, tzinfo=UTC)))
    async with running(reader.run()):
        await reader.until_caught_up()

    assert reader.texts == ["a appeared: running", "a appeared: failed", "a is gone (deleted)"]


async def test_a_killed_server_loses_and_repeats_no_event(bus: Bus, server: NatsServer) -> None:
    reader = Reader(log(bus, "event", EVENTS, start=await from_start(bus)))
    async with running(reader.run()):
        for round_ in range(3):
            await publish(bus, *(make_event("a", number=10 * round_ + number) for number in range(10)))
            server.kill()
            await server.start()
        await publish(bus, make_event("last"))
        await reader.until(lambda: "last: BackOff 0" in reader.texts)

    assert reader.texts == [*(f"a: BackOff {number}" for number in range(30)), "last: BackOff 0"]
    assert reader.resets == 0


async def test_a_log_made_again_is_a_reset_and_every_message_of_the_new_one_follows(bus: Bus) -> None:
    await publish(bus, make_event("a", number=1))
    reader = Reader(log(bus, "event", EVENTS, start=await from_start(bus)))
    async with running(reader.run()):
        await reader.until(lambda: bool(reader.texts))
        await remake(bus, "KGENTS_EVENT")
        await publish(bus, make_event("a", number=2), make_event("a", number=3))
        await reader.until(lambda: len(reader.texts) == 3)

    assert reader.texts == ["a: BackOff 1", "a: BackOff 2", "a: BackOff 3"]
    assert reader.resets == 1


async def test_a_position_of_another_stream_is_a_reset(bus: Bus) -> None:
    await publish(bus, make_event("a", number=1), make_event("a", number=2))
    reader = Reader(log(bus, "event", EVENTS, start=Position("some other time", 9, NOW_NS)))
    async with running(reader.run()):
        await reader.until(lambda: len(reader.texts) == 2)

    assert reader.resets == 1


async def test_messages_that_the_stream_dropped_behind_the_position_are_a_reset(bus: Bus) -> None:
    await publish(bus, *(make_event("a", number=number) for number in range(4)))
    start = await from_start(bus)
    session = await bus.session()
    position = Position(start.stream_created, 1, 0)
    kept = Reader(log(bus, "event", EVENTS, start=position))
    async with running(kept.run()):
        await kept.until_caught_up()
    config = (await session.api("STREAM.INFO.KGENTS_EVENT", None, dict))["config"]
    await session.api("STREAM.UPDATE.KGENTS_EVENT", config | {"max_msgs": 2}, dict)

    async def is_empty() -> bool:
        return (await stream_info(session, "KGENTS_EVENT")).state.messages == 0

    dropped = Reader(log(bus, "event", EVENTS, start=position))
    async with running(dropped.run()):
        await dropped.until_caught_up()
    short = {"max_age": 10**8, "duplicate_window": 10**8}
    await session.api("STREAM.UPDATE.KGENTS_EVENT", config | short, dict)
    await eventually(is_empty)
    empty = Reader(log(bus, "event", EVENTS, start=position))
    async with running(empty.run()):
        await empty.until_caught_up()

    assert (kept.resets, kept.texts) == (0, ["a: BackOff 1", "a: BackOff 2", "a: BackOff 3"])
    assert (dropped.resets, dropped.texts) == (1, ["a: BackOff 2", "a: BackOff 3"])
    assert (empty.resets, empty.texts) == (1, [])


async def test_events_about_entities_with_a_label_and_level(bus: Bus) -> None:
    await publish(
        bus,
        make_topology("a", labels={"app": "cart"}),
        make_topology("b", labels={"app": "pay"}),
        make_health("a", level="critical"),
        make_health("b", level="critical"),
        make_event("a", number=1),
        make_event("b", number=2),
        make_event("a", number=3, source="docker"),
        make_event("unheard", number=4),
    )
    by_label = Reader(await about(bus, select(label="app=cart")))
    by_level = Reader(await about(bus, select(level="critical", source="k8s")))
    by_name = Reader(await about(bus, select(name="un*")))
    async with running(by_label.run(), by_level.run(), by_name.run()):
        for reader in (by_label, by_level, by_name):
            await reader.until_caught_up()
        await publish(bus, make_topology("b", labels={"app": "cart"}))

        async def is_selected() -> bool:
            """From when on is not known: the label is read apart from the events."""
            await publish(bus, make_event("b", number=5))
            return "b: BackOff 5" in by_label.texts

        await eventually(is_selected)

    assert list(dict.fromkeys(by_label.texts)) == ["a: BackOff 1", "a: BackOff 3", "b: BackOff 5"]
    assert by_level.texts[:2] == ["a: BackOff 1", "b: BackOff 2"]
    assert by_name.texts == ["unheard: BackOff 4"]
