"""Copies of streams for an archiver that was away: they close gaps, and never mix two lives of a stream."""

import json
from pathlib import Path

import msgspec

from kgents_archiver.config import Config
from kgents_archiver.store.database import Database
from kgents_shared.bus import provision
from kgents_shared.bus.client import Bus
from kgents_shared.bus.copies import plan_copies
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.provision import Create, Refuse, Unchanged
from kgents_shared.contract.streams import StreamsConfig, copies, copy_of
from support.archive import archived, archiving, until_level
from support.kgents_command import run_kgents
from support.nats_server import NatsServer
from support.state import make_topology, publish, remake
from support.streams import stored
from support.waiting import eventually

KEPT = StreamsConfig(archive_copy_max_bytes=8 * 1024**2)
AWAY = StreamsConfig().history + 30


async def keep_copies(bus: Bus) -> None:
    session = await bus.session()
    plan = await plan_copies(session, copies(KEPT))
    assert all(isinstance(each, Create) for each in plan.steps)
    await provision.apply(session, plan)
    again = await plan_copies(session, copies(KEPT))
    assert all(isinstance(each, Unchanged) for each in again.steps), [str(each) for each in again.steps]


async def is_copied(bus: Bus) -> bool:
    session = await bus.session()
    copy, origin = [await stream_info(session, each) for each in (copy_of("topology"), "KGENTS_TOPOLOGY")]
    return copy.last_seq == origin.last_seq


async def change(bus: Bus, count: int) -> list[str]:
    """A pod that changes more often than its stream remembers; each change is in the copy before the next."""
    found = [f"s{number}" for number in range(count)]
    for each in found:
        await publish(bus, make_topology("hot", status=each))
    await eventually(lambda: is_copied(bus))
    return found


async def missing(database: Database) -> int:
    async with database.snapshot() as connection:
        found: int = await connection.fetchval("select coalesce(sum(last_seq - first_seq + 1), 0)::int from kgents.gap")
    return found


async def test_what_the_stream_forgot_meanwhile_is_read_from_its_copy(
    bus: Bus, config: Config, database: Database, tmp_path: Path
) -> None:
    await keep_copies(bus)
    async with archiving(bus, config, tmp_path, KEPT):
        await publish(bus, make_topology("calm"))
        await until_level(bus, database)
    await change(bus, AWAY)
    async with archiving(bus, config, tmp_path, KEPT) as context:
        await until_level(bus, database)
        await eventually(lambda: context.status.state == "in_sync")
    found = await archived(database, "topology")
    assert [each.seq for each in found] == [*range(1, AWAY + 2)]
    assert await missing(database) == 0
    assert len(await stored(bus, "KGENTS_TOPOLOGY")) == StreamsConfig().history + 1


async def test_a_copy_of_a_former_life_is_not_read_and_is_named(
    bus: Bus, config: Config, database: Database, tmp_path: Path
) -> None:
    """It goes on where the new life has grown beyond the old one, under the same numbers."""
    await keep_copies(bus)
    async with archiving(bus, config, tmp_path, KEPT):
        await publish(bus, make_topology("calm"))
        await until_level(bus, database)
    await change(bus, AWAY)
    await remake(bus, "KGENTS_TOPOLOGY")
    for number in range(AWAY + 20):
        await publish(bus, make_topology("new", status=f"n{number}"))
    async with archiving(bus, config, tmp_path, KEPT):
        await until_level(bus, database)
    found = await archived(database, "topology")
    assert {each.subject.rpartition(".")[2] for each in found} == {"calm", "new"}
    assert [each.seq for each in found][1:] == [each.seq for each in await stored(bus, "KGENTS_TOPOLOGY")]
    refused = [
        each for each in (await plan_copies(await bus.session(), copies(KEPT))).steps if isinstance(each, Refuse)
    ]
    assert [each.stream for each in refused] == [copy_of("topology")]
    assert "nats stream rm KGENTS_COPY_TOPOLOGY" in str(refused[0])


async def test_doctor_names_a_copy_that_is_missing_and_one_of_a_former_life(
    bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    file = tmp_path / "kgents.yaml"
    file.write_text(json.dumps({"streams": {"archive_copy_max_bytes": KEPT.archive_copy_max_bytes}}))

    async def said() -> list[str]:
        out = (await run_kgents("doctor", "--config", str(file), "--nats", server.url)).out
        return [each for each in out.splitlines() if "for the archive" in each]

    await keep_copies(bus)
    assert await said() == ["✔ JetStream keeps all 4 copies for the archive"]
    await publish(bus, make_topology("calm"))
    await remake(bus, "KGENTS_TOPOLOGY")
    await (await bus.session()).api(f"STREAM.DELETE.{copy_of('alert')}", None, msgspec.Raw)
    foreign, missing = await said()
    assert foreign.startswith(
        f"✘ copy {copy_of('topology')} for the archive is not used: KGENTS_TOPOLOGY was made again"
    )
    assert missing.startswith(f"✘ copy {copy_of('alert')} for the archive is missing")
    assert missing.endswith("next: `kgents provision`")
