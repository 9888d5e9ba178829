"""The archive on each release of PostgreSQL that is supported, and on one without space."""

import subprocess
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from kgents_archiver.store import days, partitions
from kgents_archiver.store.forgetting import Wanted, find, forget
from kgents_archiver.store.trail import TrailWriter, links
from kgents_archiver.store.writing import Message, Writer
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Position
from kgents_shared.contract.codec import encode
from support.archive import archived, archiving, config_of, make_database, open_database, state_at, until_level
from support.audit import make_record
from support.postgres_server import VERSIONS, PostgresServer, own_directory, owner
from support.state import make_topology, publish
from support.streams import stored
from support.waiting import eventually

FIRST = date(2026, 11, 1)
BEGAN = partitions.beginning(FIRST)


def message(seq: int, at: datetime, name: str) -> Message:
    return Message(seq, at, f"kgents.topology.test.pod.shop.{name}", False, b"{}")


@pytest.mark.parametrize("version", [each for each in VERSIONS if each != 15])
async def test_each_release_of_postgres_carries_the_archive(version: int, tmp_path: Path) -> None:
    """What differs between them: partitions that come and go, hashes, triggers, and what is asked for."""
    async with PostgresServer(tmp_path / "postgres", version=version, statements=False) as postgres:
        await make_database(postgres)
        async with open_database(config_of(postgres)) as database:
            writer = Writer(database, "topology")
            epoch = await writer.begin("KGENTS_TOPOLOGY", "first", now=BEGAN, last_seq=0, before=None)
            for number in range(4):
                at = BEGAN + timedelta(days=number, hours=1)
                await days.add_base(database, "topology", at.date())
                names = ("calm", "hot") if number == 0 else ("hot",)
                messages = [message(number * 10 + place + 1, at, name) for place, name in enumerate(names)]
                position = Position("first", messages[-1].seq, int(at.timestamp() * 1e9))
                epoch = await writer.write(epoch, messages, [], position)
            await days.expire(database, "topology", FIRST + timedelta(days=3), 1)
            assert await partitions.days_of(database, "topology") == [FIRST + timedelta(days=each) for each in (2, 3)]
            found = await state_at(database, "topology", BEGAN + timedelta(days=3, hours=2))
            assert [each.subject.rpartition(".")[2] for each in found.messages] == ["calm", "hot"]

            trail = TrailWriter(database, "audit")
            life = await trail.begin("KGENTS_AUDIT", "first", now=BEGAN, last_seq=0, before=None)
            record = make_record()
            await trail.write(life, [Message(1, BEGAN, record.subject, False, encode(record))], [], None)
            wanted = Wanted(BEGAN + timedelta(days=3), who=record.by)
            await forget(database, wanted, await find(database, wanted))
            assert [each.stored.body async for each in links(database)] == [b""]


async def fill(postgres: PostgresServer, size_bytes: int) -> None:
    while True:
        await postgres.sql(f"insert into filler select repeat('x', {size_bytes})")


@pytest.mark.skipif(not Path("/proc/self/ns").exists(), reason="a small file system needs Linux")
async def test_a_full_disk_is_named_and_what_was_published_meanwhile_is_stored_once_there_is_space(
    bus: Bus, postgres: PostgresServer, tmp_path: Path
) -> None:
    place = own_directory(tmp_path / "small")
    size = f"size=32m,uid={owner().pw_uid},mode=700"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)], check=False)
    if mounted.returncode != 0:
        pytest.skip("may not mount a small file system")
    try:
        await postgres.sql(f"create tablespace small location '{place}'")
        await postgres.sql("grant create on tablespace small to archive")
        await postgres.sql("alter role archive set default_tablespace = 'small'")
        config = config_of(postgres)
        async with open_database(config) as database, archiving(bus, config, tmp_path) as context:
            await publish(bus, make_topology("before"))
            await until_level(bus, database)
            await postgres.sql("create table filler (content text) tablespace small")
            await postgres.sql("alter table filler alter content set storage external")
            for size_bytes in (1_000_000, 8_000):  # until not even a page is left
                with pytest.raises(Exception, match="No space left"):
                    await fill(postgres, size_bytes)
            for number in range(400):
                await publish(bus, make_topology(f"p{number}", labels={"filler": f"{number}" * 200}))
            await eventually(lambda: "No space left" in context.status.reason, within_s=60)
            assert context.status.state == "degraded"
            await postgres.sql("drop table filler")
            await eventually(lambda: context.status.state == "in_sync", within_s=90)
            await until_level(bus, database)
            found = [(each.subject, each.seq, each.body) for each in await archived(database, "topology")]
        assert found == [(each.subject, each.seq, each.payload) for each in await stored(bus, "KGENTS_TOPOLOGY")]
    finally:
        await postgres.stop()
        subprocess.run(["umount", str(place)], check=True)
