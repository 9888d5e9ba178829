"""The state at any moment, before and after old days are dropped, on a real PostgreSQL."""

import random
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from msgspec.structs import replace

from kgents_archiver.config import Config
from kgents_archiver.holes import Hole
from kgents_archiver.space import measured
from kgents_archiver.store import days, partitions
from kgents_archiver.store.database import Database
from kgents_archiver.store.ledger import Epoch, OvertakenError
from kgents_archiver.store.status import stream_statuses
from kgents_archiver.store.writing import Message, Writer
from kgents_archiver.versions import FollowingVersions
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Position
from kgents_shared.contract.archive import Gap
from kgents_shared.contract.errors import NotFoundError
from support.archive import state_at, versions
from support.waiting import within

STREAM = "KGENTS_TOPOLOGY"
FIRST = date(2026, 11, 1)
DAYS = 6
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
AUCKLAND = timezone(timedelta(hours=13))  # where it is another day for most of the day


def message(seq: int, at: datetime, name: str, *, is_gone: bool = False) -> Message:
    return Message(seq, at, f"kgents.topology.test.pod.shop.{name}", is_gone, f"{name} {seq}".encode())


def position(at: datetime, seq: int, created: str = "first") -> Position:
    return Position(created, seq, int(at.timestamp() * 1e9))


async def begin(writer: Writer, at: datetime = BEGAN, before: Epoch | None = None, created: str = "first") -> Epoch:
    return await writer.begin(STREAM, created, now=at, last_seq=0, before=before)


def story(dice: random.Random) -> list[Message]:
    """Six days of some entities: one never changes, some come and go, all changes at random times."""
    names = ["calm", "hot", *(f"p{number}" for number in range(6))]
    found = [message(1, BEGAN + timedelta(minutes=1), "calm")]
    times = sorted(dice.uniform(120, DAYS * 86_400 - 120) for _ in range(150))
    for seq, seconds in enumerate(times, 2):
        at = BEGAN + timedelta(seconds=round(seconds, 3))
        found.append(message(seq, at, dice.choice(names[1:]), is_gone=dice.random() < 0.3))
    return found


def state(messages: list[Message], moment: datetime) -> dict[str, bytes]:
    """The fold of what was published."""
    found: dict[str, bytes] = {}
    for each in messages:
        if each.at <= moment:
            found.pop(each.subject, None)
            if not each.is_gone:
                found[each.subject] = each.body
    return found


async def read(database: Database, moment: datetime) -> dict[str, bytes]:
    answer = await state_at(database, "topology", moment.astimezone(AUCKLAND))
    return {each.subject: each.body for each in answer.messages}


async def test_the_state_at_any_moment_is_the_fold_of_what_was_published(database: Database) -> None:
    """With and without bases, and after all days are dropped that later ones can do without."""
    dice = random.Random(7)
    messages = story(dice)
    writer = Writer(database, "topology")
    epoch = await begin(writer)
    moments = [BEGAN + timedelta(seconds=dice.uniform(60, DAYS * 86_400)) for _ in range(12)]
    moments += [partitions.beginning(FIRST + timedelta(days=number)) for number in range(1, DAYS)]
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        assert await days.add_base(database, "topology", day) is (number > 0)
        assert not await days.add_base(database, "topology", day)
        todays = [each for each in messages if each.at.date() == day]
        end = partitions.beginning(day + timedelta(days=1))
        epoch = await writer.write(epoch, todays, [], position(end, todays[-1].seq if todays else epoch.position.seq))
    for moment in moments:
        assert await read(database, moment) == state(messages, moment), moment

    last = FIRST + timedelta(days=DAYS - 1)
    assert await days.expire(database, "topology", last, 2) == 6, "three days of versions and of bases"
    kept = partitions.beginning(last - timedelta(days=2))
    for moment in moments:
        if moment >= kept:
            assert await read(database, moment) == state(messages, moment), moment
        else:
            with pytest.raises(NotFoundError, match="since 2026-11-04"):
                await read(database, moment)
    assert "kgents.topology.test.pod.shop.calm" in await read(database, partitions.beginning(last))


async def test_no_day_is_dropped_that_no_later_base_replaces(database: Database) -> None:
    writer = Writer(database, "topology")
    epoch = await begin(writer)
    await writer.write(epoch, [message(1, BEGAN, "calm")], [], position(BEGAN, 1))
    assert await days.expire(database, "topology", FIRST + timedelta(days=400), 30) == 0
    assert await read(database, BEGAN + timedelta(days=399))


async def test_another_life_of_a_stream_ends_what_the_former_one_held(database: Database) -> None:
    """What it holds may have been stored long before; what it lacks was lost without a removal."""
    writer = Writer(database, "topology")
    first = await begin(writer)
    await days.add_base(database, "topology", FIRST)
    old = [message(1, BEGAN, "lost"), message(2, BEGAN + timedelta(hours=1), "kept")]
    later = BEGAN + timedelta(days=2, hours=3)
    first = await writer.write(first, old, [], position(later, 2))
    assert await days.add_base(database, "topology", later.date())
    second = await begin(writer, later, first, "second")
    await writer.write(second, [old[1]], [], position(later + timedelta(days=2), 2, "second"))
    next_day = later.date() + timedelta(days=1)
    for has_base in (False, True):
        assert len(await read(database, later - timedelta(hours=1))) == 2
        for moment in (later, later + timedelta(days=1), later + timedelta(days=2)):
            assert [each[-4:] for each in await read(database, moment)] == ["kept"], (moment, has_base)
        if not has_base:
            assert await days.add_base(database, "topology", next_day)


async def test_an_event_that_another_life_holds_again_happened_once(database: Database) -> None:
    """The stream went back behind the second one, and goes on otherwise."""
    writer = Writer(database, "event")
    first = await writer.begin("KGENTS_EVENT", "first", now=BEGAN, last_seq=0, before=None)
    events = [message(seq, BEGAN + timedelta(hours=seq), "a") for seq in (1, 2)]
    first = await writer.write(first, events, [], position(events[-1].at, 2))
    second = await writer.begin("KGENTS_EVENT", "second", now=events[-1].at, last_seq=1, before=first)
    other = message(2, BEGAN + timedelta(hours=3), "a")
    await writer.write(second, [events[0], other], [], position(other.at, 2, "second"))
    found = [(each.seq, each.at) for each in (await versions(database, "event")).messages]
    assert found == [(each.seq, each.at) for each in (*events, other)]


async def test_of_two_writers_the_slower_one_stores_nothing(database: Database) -> None:
    one, other = Writer(database, "topology"), Writer(database, "topology")
    epoch = await begin(one)
    assert await other.epoch(STREAM) == epoch
    with pytest.raises(OvertakenError):
        await begin(other)
    await one.write(epoch, [message(1, BEGAN, "a")], [], position(BEGAN, 1))
    with pytest.raises(OvertakenError):
        await other.write(epoch, [message(1, BEGAN, "a"), message(2, BEGAN, "b")], [], position(BEGAN, 2))
    answer = await versions(database, "topology")
    assert [each.seq for each in answer.messages] == [1]


async def test_what_is_missing_is_part_of_the_answers_that_it_may_have_changed(database: Database) -> None:
    writer = Writer(database, "topology")
    epoch = await begin(writer)
    until = BEGAN + timedelta(hours=3)
    hole = Hole(2, 9, BEGAN + timedelta(hours=1))
    await writer.write(epoch, [message(1, BEGAN, "a"), message(10, until, "a")], [hole], position(until, 10))

    async def missing(hours: int) -> int:
        return (await state_at(database, "topology", BEGAN + timedelta(hours=hours))).coverage.missing

    assert [await missing(hours) for hours in (0, 2, 3)] == [0, 8, 8]
    found = (await versions(database, "topology", BEGAN, until)).coverage
    assert (found.gaps, found.ended) == ([Gap(hole.since, until)], [])
    answer = await versions(database, "topology", BEGAN, BEGAN + timedelta(hours=5))
    remarks = answer.coverage.remarks(BEGAN - timedelta(days=1), BEGAN + timedelta(hours=5))
    assert [each.split(": ", 1)[1][:14] for each in remarks] == ["the archive re", "archived until", "8 messages wer"]


async def test_days_are_made_and_dropped_while_someone_reads_everything(database: Database) -> None:
    """Neither waits for the reader, and no insert waits for them."""
    writer = Writer(database, "event")
    epoch = await writer.begin("KGENTS_EVENT", "first", now=BEGAN, last_seq=0, before=None)
    epoch = await writer.write(epoch, [message(1, BEGAN, "a")], [], position(BEGAN, 1))
    reader = Database(database._config)
    try:
        async with reader.snapshot() as connection, within(30):
            assert await connection.fetchval("select count(*) from kgents.event") == 1
            await days.prepare(database, "event", FIRST + timedelta(days=60))
            after = BEGAN + timedelta(days=60)
            await writer.write(epoch, [message(2, after, "b")], [], position(after, 2))
    finally:
        await reader.close()
    assert await days.expire(database, "event", FIRST + timedelta(days=60), 30) == 1
    assert await partitions.days_of(database, "event") == [FIRST + timedelta(days=60 + number) for number in range(3)]


async def test_a_server_whose_clock_is_years_ahead_drops_nothing(database: Database, bus: Bus, config: Config) -> None:
    now = datetime.now(UTC)
    writer = Writer(database, "event")
    epoch = await writer.begin("KGENTS_EVENT", "first", now=now, last_seq=0, before=None)
    await writer.write(epoch, [message(1, now, "a")], [], position(now, 1))
    following = FollowingVersions(bus, config, "event", lambda: None)
    await following._expire(now.date() + timedelta(days=3_650))
    await following._database.close()
    assert len((await versions(database, "event", now - timedelta(1), now + timedelta(1))).messages) == 1


async def test_a_clock_that_is_set_back_does_not_bring_back_what_was(database: Database) -> None:
    """The later message has the earlier time."""
    writer = Writer(database, "topology")
    at = BEGAN + timedelta(hours=1)
    found = [message(1, at, "a"), message(2, at - timedelta(seconds=5), "a")]
    await writer.write(await begin(writer), found, [], position(at, 2))
    assert list((await read(database, at + timedelta(hours=1))).values()) == [b"a 2"]


async def test_what_a_full_archive_takes_is_expected_from_the_days_that_are_there(
    database: Database, config: Config
) -> None:
    writer = Writer(database, "topology")
    epoch = await begin(writer)
    for day, expected in ((0.1, None), (6, 5)):
        at = BEGAN + timedelta(days=day)
        epoch = await writer.write(
            epoch, [message(epoch.position.seq + 1, at, "a")], [], position(at, epoch.position.seq + 1)
        )
        (status,) = await stream_statuses(database, config)
        assert status.expected_bytes == (None if expected is None else status.disk_bytes * expected)


async def test_beyond_its_bound_of_disk_the_oldest_days_go_and_what_is_calm_stays(
    database: Database, config: Config
) -> None:
    dice = random.Random(3)
    writer = Writer(database, "topology")
    epoch = await begin(writer)
    written = [message(1, BEGAN + timedelta(minutes=1), "calm")]
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        await days.add_base(database, "topology", day)
        noon = partitions.beginning(day) + timedelta(hours=12)
        todays = [*(written if number == 0 else [])]
        for count in range(10):
            body = dice.randbytes(50_000)
            todays.append(replace(message(number * 10 + count + 2, noon + timedelta(minutes=count), "hot"), body=body))
        epoch = await writer.write(epoch, todays, [], position(noon + timedelta(hours=1), todays[-1].seq))
        written += todays[-1:]
    end = BEGAN + timedelta(days=DAYS)
    before = await measured(database, config)
    assert before.max_bytes is None
    within = await measured(database, replace(config, max_bytes=before.used_bytes - 700_000))
    assert within.used_bytes <= before.used_bytes - 700_000
    assert within.expected_bytes is not None
    assert (await partitions.days_of(database, "topology"))[0] == FIRST + timedelta(days=2)
    assert await read(database, end) == state(written, end)
    with pytest.raises(NotFoundError):
        await read(database, BEGAN + timedelta(days=1))
    least = await measured(database, replace(config, max_bytes=1))
    assert least.used_bytes > 1, "today and yesterday stay"
    assert len(await partitions.days_of(database, "topology")) == 2
    assert await read(database, end) == state(written, end)
