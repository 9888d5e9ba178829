"""What is to be forgotten goes from the archive, and later moments and the audit trail stay what they were."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kgents_archiver.config import Config
from kgents_archiver.store.database import Database
from kgents_archiver.store.forgetting import Wanted, find, forget
from kgents_archiver.store.ledger import time_of
from kgents_shared.bus.audit import audited
from kgents_shared.bus.client import Bus
from kgents_shared.contract.topology import TopologyEntity
from support import streams
from support.archive import archived, archiving, state_at, until_level
from support.audit import make_record
from support.build import make_ref
from support.kgents_command import Result, run_kgents
from support.postgres_server import PostgresServer
from support.state import make_health, make_topology, publish
from support.waiting import eventually


async def kgents(file: Path, *words: str) -> Result:
    return await run_kgents(*words, "--config", str(file))


async def last_at(bus: Bus, stream: str) -> datetime:
    """Just after the last message was stored."""
    return time_of((await streams.log(bus, stream))[-1].time_ns) + timedelta(microseconds=1)


def names(found: list[str]) -> set[str]:
    return {each.rpartition(".")[2] for each in found}


async def test_of_a_namespace_all_goes_but_what_is_still_so(
    bus: Bus, config: Config, database: Database, file: Path, tmp_path: Path
) -> None:
    """Also while the archiver goes on, which still knows the numbers of the names that go."""

    def topology(name: str, namespace: str = "shop", **fields: Any) -> TopologyEntity:
        return make_topology(ref=make_ref(name, namespace=namespace), **fields)

    async with archiving(bus, config, tmp_path):
        await publish(bus, topology("calm"), topology("gone", status="was there"), topology("other", "else"))
        await publish(bus, topology("calm", status="second"), make_health(ref=make_ref("gone", namespace="shop")))
        first = await last_at(bus, "KGENTS_TOPOLOGY")
        await publish(bus, topology("gone", op="remove"))
        await until_level(bus, database, "topology", "health")
        then = max(await last_at(bus, "KGENTS_TOPOLOGY"), await last_at(bus, "KGENTS_HEALTH"))
        words = ("archive", "forget", "--namespace", "shop", "--before", then.isoformat())
        assert "would forget" in (await kgents(file, *words)).out
        assert len(await archived(database, "topology")) == 5
        done = await kgents(file, *words, "--yes")
        assert (done.code, "forgot 3 entries" in done.out) == (0, True), done.out + done.err
        kept = await archived(database, "topology")
        assert [(each.subject.split(".")[-1], json.loads(each.body)["status"]) for each in kept] == [
            ("other", "running"),
            ("calm", "second"),
        ]
        assert names([each.subject for each in (await state_at(database, "topology", then)).messages]) == {
            "calm",
            "other",
        }
        before = await state_at(database, "topology", first)
        assert any("forgotten on request" in each for each in before.coverage.remarks(first, first))
        assert (await state_at(database, "topology", then)).coverage.forgotten is None

        await publish(bus, topology("gone", status="is back"))
        await until_level(bus, database, "topology")
        assert "gone" in names([each.subject for each in await archived(database, "topology")])
    listed = json.loads((await kgents(file, "audit", "ls", "--action", "archive-forget", "-o", "json")).out)
    assert [(each["target"], each["outcome"], each["after"]["entries"]) for each in listed] == [
        ("namespace shop", "done", 3)
    ]


async def test_no_crash_brings_back_what_was_forgotten(
    bus: Bus, config: Config, database: Database, postgres: PostgresServer, tmp_path: Path
) -> None:
    async with archiving(bus, config, tmp_path):
        await publish(bus, make_topology(ref=make_ref("gone", namespace="shop")))
        await publish(bus, make_topology(op="remove", ref=make_ref("gone", namespace="shop")))
        await until_level(bus, database, "topology")
    wanted = Wanted(namespace="shop", before=await last_at(bus, "KGENTS_TOPOLOGY"))
    assert await forget(database, wanted, await find(database, wanted)) == 2
    postgres.kill()
    await postgres.start()
    await database.close()
    assert await archived(database, "topology") == []


async def test_a_record_of_a_person_loses_its_content_and_the_chain_holds(
    bus: Bus, config: Config, database: Database, file: Path, tmp_path: Path
) -> None:
    async with archiving(bus, config, tmp_path):
        for by in ("olga", "bob"):
            async with audited(bus, make_record(f"backup of {by}", by=by)):
                pass
        await eventually(lambda: _is_anchored(bus, database), within_s=60)
        then = await last_at(bus, "KGENTS_AUDIT")
        words = ("archive", "forget", "--who", "olga", "--before", then.isoformat(), "--yes")
        done = await kgents(file, *words)
        assert (done.code, "the content of 2 records" in done.out) == (0, True), done.out + done.err
        async with database.snapshot() as connection:
            bodies = [bytes(each[0]) for each in await connection.fetch("select body from kgents.audit order by n")]
        assert not any(b"olga" in each for each in bodies)
        assert any(b"bob" in each for each in bodies)
        await eventually(lambda: _is_anchored(bus, database), within_s=60)
    verified = await kgents(file, "audit", "verify")
    assert (verified.code, "content of 2 of them was forgotten" in verified.err) == (0, True), verified.out
    copy = tmp_path / "audit.jsonl"
    assert (await kgents(file, "audit", "export", str(copy))).code == 0
    assert b"olga" not in copy.read_bytes()
    assert (await kgents(file, "audit", "verify", str(copy))).code == 0
    again = Wanted(then, who="olga")
    found = await find(database, again)
    assert (found.records, await forget(database, again, found)) == ([], 0)


async def _is_anchored(bus: Bus, database: Database) -> bool:
    kept = await streams.log(bus, "KGENTS_AUDIT")
    async with database.snapshot() as connection:
        last = await connection.fetchrow("select seq, subject from kgents.audit order by n desc limit 1")
    return last is not None and last[0] == kept[-1].seq and last[1].endswith(".anchor")
