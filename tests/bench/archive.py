"""The archive beside bare COPY of the same packed rows; the state of a moment as it deepens; what forgetting takes."""

import json
import random
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from bench.figures import Figure
from bench.run import Run, Took, median_cpu_s, median_wall_s, took
from kgents_archiver.compression import SAMPLES, Packing, train
from kgents_archiver.store import days
from kgents_archiver.store.database import Database, rows
from kgents_archiver.store.forgetting import Wanted, find, forget
from kgents_archiver.store.ledger import Epoch
from kgents_archiver.store.reading import Reader
from kgents_archiver.store.writing import Message, Writer
from kgents_shared.bus.consume import Position
from kgents_shared.contract.archive import StateRequest
from support.archive import config_of, make_database, open_database, whole
from support.postgres_server import PostgresServer

SIGNAL: Final = "topology"
BEGAN: Final = datetime(2026, 11, 1, tzinfo=UTC)
BATCH: Final = 500
A_DAY: Final = 10
"""Versions of an entity in a day, on average."""
DAYS: Final = (1, 2, 10, 50)
"""After so many days the state of a moment is asked for, as far as that is at most VERSIONS_MAX."""
VERSIONS_MAX: Final = 5_000_000
ROUNDS: Final = 5


async def bench(run: Run) -> None:
    for size in run.sizes:
        async with PostgresServer(run.directory / f"pg-{size}", statements=False, shared_buffers="256MB") as server:
            await make_database(server)
            async with open_database(config_of(server)) as database:
                await _measure(run, database, size)


async def _measure(run: Run, database: Database, size: int) -> None:
    dice = random.Random(size)
    writer = Writer(database, SIGNAL)
    epoch = await writer.begin("KGENTS_TOPOLOGY", "first", now=BEGAN, last_seq=0, before=None)
    first = _day(dice, size, 0, 1)
    await _store_dictionary(database, first)
    stored: list[Took] = []
    copied: list[Took] = []
    asked_s: dict[int, float] = {}
    seq = 1
    depths = [each for each in DAYS[: 3 if run.is_quick else None] if each * size * A_DAY <= VERSIONS_MAX]
    for day in range(max(depths)):
        run.progress(f"{size:,} entities, day {day + 1} of {max(depths)}")
        messages = first if day == 0 else _day(dice, size, day, seq)
        seq += len(messages)
        today = date(2026, 11, 1) + timedelta(days=day)
        await days.add_base(database, SIGNAL, today)
        await days.prepare(database, SIGNAL, today)
        epoch, ours = await _store(writer, epoch, messages)
        stored.append(ours)
        copied.append(await _copy(database, writer, messages))
        if day + 1 in depths:
            asked_s[day + 1] = await _ask(run, database, BEGAN + timedelta(days=day, hours=20))
    count = len(messages)
    for name, median, unit in (("stored, a version", median_wall_s, "µs"), ("CPU a version", median_cpu_s, "µs")):
        figures = [median(each) * 1e6 / count for each in (stored[1:] or stored, copied[1:] or copied)]
        run.report(Figure(bench=run.name, name=name, size=size, ours=figures[0], bare=figures[1], unit=unit))  # type: ignore[arg-type]
    rate = count / median_wall_s(stored[1:] or stored)
    run.report(Figure(bench=run.name, name="versions stored", size=size, ours=rate, unit="/s"))
    body = statistics.mean(len(each.body) for each in first)
    on_disk = await _bytes_a_version(database)
    run.report(
        Figure(bench=run.name, name="bytes a version", size=size, ours=on_disk, unit="B", at_most=0.3 * body + 90)
    )
    for depth, took_s in asked_s.items():
        name = f"state of a moment after {depth * count:,} versions"
        bare = asked_s[depths[1]] if depth > depths[1] else None
        run.report(
            Figure(bench=run.name, name=name, size=size, ours=took_s * 1e3, unit="ms",
                   bare=bare * 1e3 if bare is not None else None, at_most=1.5 if bare is not None else None)
        )  # fmt: skip
    await _forget(run, database, size, max(depths))


async def _forget(run: Run, database: Database, size: int, days_: int) -> None:
    """A namespace of 40, but for what is still so: to find and to remove it, beside one bare statement."""
    until = BEGAN + timedelta(days=days_)
    run.progress(f"{size:,} entities, forgetting")
    wanted = Wanted(until, namespace="shop-7")
    began_s = time.perf_counter()
    found = await find(database, wanted)
    removed = await forget(database, wanted, found)
    ours_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    async with database.transaction() as connection:
        await connection.execute("delete from kgents.bare where subject = any($1) and at < $2", found.subjects, until)
    bare_s = time.perf_counter() - began_s
    for name, parts, unit in (("a namespace of 40 is forgotten", 1e-3, "ms"), ("… a row of it", removed * 1e-6, "µs")):
        run.report(Figure(bench=run.name, name=name, size=size, ours=ours_s / parts, bare=bare_s / parts, unit=unit))  # type: ignore[arg-type]


def _day(dice: random.Random, size: int, day: int, seq: int) -> list[Message]:
    """All entities on the first day; then a tenth of them, again and again."""
    count = size * A_DAY
    hot = max(size // 10, 1)
    step = timedelta(days=1) / (count + 1)
    return [
        Message(
            seq + number, BEGAN + timedelta(days=day) + (number + 1) * step, _subject(entity), False,
            _body(dice, entity, seq + number),
        )
        for number in range(count)
        for entity in (number if day == 0 and number < size else dice.randrange(hot),)
    ]  # fmt: skip


def _subject(entity: int) -> str:
    return f"kgents.topology.prod.pod.shop-{entity % 40}.cart-{entity:05d}"


def _body(dice: random.Random, entity: int, number: int) -> bytes:
    name = f"cart-{entity:05d}"
    ref = {"cluster": "prod", "kind": "pod", "namespace": f"shop-{entity % 40}", "name": name}
    peers = [{"kind": "node", "name": f"n{dice.randrange(200)}"}, {"kind": "service", "name": f"cart-{entity % 99}"}]
    connections = [
        {"kind": "runs_on", "peer": {**ref, **peer, "namespace": ""}, "direction": "out", "evidence": "spec.nodeName"}
        for peer in peers
    ]
    labels = {"app.kubernetes.io/name": "cart", "pod-template-hash": f"{dice.getrandbits(40):x}", "tier": "web"}
    attributes = {"k8s.pod.uid": f"{dice.getrandbits(128):032x}", "container.image.name": f"r/cart:{number % 37}"}
    message: dict[str, Any] = {
        "text": f"pod/{name} changed: running", "ref": ref, "op": "upsert", "status": "running", "sources": ["k8s"],
        "labels": labels, "attributes": attributes, "connections": connections, "changed": ["attributes"],
        "addresses": [f"10.{dice.randrange(256)}.{dice.randrange(256)}.7:8080"], "created_at": str(BEGAN),
    }  # fmt: skip
    return json.dumps(message).encode()


async def _store_dictionary(database: Database, messages: list[Message]) -> None:
    """As after the first thousand messages: both sides pack alike."""
    body = train([each.body for each in messages[:SAMPLES]])
    async with database.transaction() as connection:
        await connection.execute("insert into kgents.dictionary (signal, body) values ($1, $2)", SIGNAL, body)
        await connection.execute("create table kgents.bare (like kgents.topology, primary key (epoch, seq, at))")


async def _store(writer: Writer, epoch: Epoch, messages: list[Message]) -> tuple[Epoch, Took]:
    async def store() -> None:
        nonlocal epoch
        for batch in _batches(messages):
            last = batch[-1]
            position = Position("first", last.seq, int(last.at.timestamp() * 1e9))
            epoch = await writer.write(epoch, batch, [], position)

    cost = await took(store)
    return epoch, cost


async def _copy(database: Database, writer: Writer, messages: list[Message]) -> Took:
    """The same rows, packed and numbered before: the least that anything needs to have them there."""
    packing: Packing = await writer._stored_packing()
    subjects = await writer.numbers({each.subject for each in messages})
    packed = [
        [
            (1, each.seq, each.at, subjects[each.subject], each.is_gone, packing.codec, packing.pack(each.body))
            for each in batch
        ]
        for batch in _batches(messages)
    ]
    columns = ["epoch", "seq", "at", "subject", "is_gone", "codec", "body"]

    async def copy() -> None:
        for batch in packed:
            async with database.transaction() as connection:
                await connection.copy_records_to_table("bare", schema_name="kgents", records=batch, columns=columns)

    return await took(copy)


def _batches(messages: list[Message]) -> Iterator[list[Message]]:
    return (messages[start : start + BATCH] for start in range(0, len(messages), BATCH))


async def _ask(run: Run, database: Database, moment: datetime) -> float:
    """All entities at a moment, unpacked, by pages; the median, without the first time."""
    reader = Reader(database)
    found_s = []
    for _ in range(run.rounds(ROUNDS) + 1):
        began_s = time.perf_counter()
        await whole(reader.state, StateRequest(signal=SIGNAL, at=moment))
        found_s.append(time.perf_counter() - began_s)
    return statistics.median(found_s[1:])


async def _bytes_a_version(database: Database) -> float:
    async with database.snapshot() as connection:
        ((size, count),) = await rows(
            connection,
            """select (select sum(pg_total_relation_size(inhrelid)) from pg_inherits
                       where inhparent = 'kgents.topology'::regclass), (select count(*) from kgents.topology)""",
        )
    return float(size) / float(count)
