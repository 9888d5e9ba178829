"""What is kept of figures, on a real PostgreSQL: each sample once, wherever the archiver ends; hours out of minutes."""

import json
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace
from pyarrow.parquet import read_table  # type: ignore[import-untyped]

from kgents_archiver.config import Config
from kgents_archiver.holes import Hole
from kgents_archiver.samples import _Folding
from kgents_archiver.store import days, partitions
from kgents_archiver.store.database import Database
from kgents_archiver.store.figures import figures
from kgents_archiver.store.ledger import OvertakenError
from kgents_archiver.store.pulses import PulseWriter, roll
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Batch, Position
from kgents_shared.bus.delivery import DELAYED, Delivery
from kgents_shared.contract.archive import FiguresRequest, Rolled
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import EdgeSample, ResourcePulse, TrafficPulse
from kgents_shared.contract.sketch import Histogram
from kgents_shared.view.entity import key_of_ref
from kgents_shared.view.figures import kept_figures
from support.archive import archiving
from support.build import make_ref
from support.gateway import serving
from support.kgents_command import run_kgents
from support.nats_server import NatsServer
from support.state import make_topology, publish
from support.waiting import eventually

STREAM = "KGENTS_PULSE"
BEGAN = datetime(2026, 11, 1, 8, 55, tzinfo=UTC)
EVER = BEGAN - timedelta(days=1), BEGAN + timedelta(days=9)
NAMES = ("a", "b")
WEB = Ref("test", "app", "web")
OBJECTIVES = """
objectives:
  - {name: answers, target: 0.5, edge: {caller: app/web, peer: "pod/shop/*"}}
  - {name: fast, target: 0.5, edge: {within_ms: 250}}
  - {name: odd, target: 0.5, edge: {within_ms: 300}}
"""


def pulse(name: str, figures: dict[str, float | None]) -> ResourcePulse:
    return ResourcePulse(ref=make_ref(name), source="k8s", timestamp=BEGAN, interval_s=5, custom=figures)


def delivery(seq: int, at: datetime, message: ResourcePulse, delay_s: float = 0.0) -> Delivery:
    headers = {DELAYED: str(delay_s)} if delay_s else None
    subject = message.ref.subject("pulse", source=message.source)
    return Delivery(subject, encode(message), headers, seq, seq, int(at.timestamp() * 1e6) * 1_000, 0)


def story(dice: random.Random) -> list[tuple[Delivery, datetime, str, dict[str, float | None]]]:
    """Ten minutes over the end of an hour: gauges that are not always known, and a counter that begins again."""
    found: list[tuple[Delivery, datetime, str, dict[str, float | None]]] = []
    counts = dict.fromkeys(NAMES, 0.0)
    at = BEGAN
    for seq in range(1, 240):
        at += timedelta(seconds=round(dice.uniform(0.5, 4.5), 3))
        name = dice.choice(NAMES)
        counts[name] = 0.0 if dice.random() < 0.05 else counts[name] + dice.randint(0, 9)
        values: dict[str, float | None] = {
            "x": dice.choice((None, 0.0, float(dice.randint(1, 50)))),
            "morphisms": counts[name],
        }
        delay_s = 150.0 if dice.random() < 0.03 else 0.0
        found.append((delivery(seq, at, pulse(name, values), delay_s), at - timedelta(seconds=delay_s), name, values))
    return found


def expected(
    told: Iterable[tuple[Delivery, datetime, str, dict[str, float | None]]], step: timedelta
) -> dict[tuple[str, str, datetime], tuple[object, ...]]:
    """Our own checker: all samples of each figure and time, in the order in which they came."""
    samples: dict[tuple[str, str, datetime], list[tuple[datetime, float | None, float | None]]] = defaultdict(list)
    last: dict[str, tuple[datetime, float]] = {}
    for _, at, name, values in told:
        begins = datetime.fromtimestamp(at.timestamp() // step.total_seconds() * step.total_seconds(), UTC)
        for figure, value in values.items():
            grown = None
            if figure == "morphisms" and value is not None and (name not in last or at >= last[name][0]):
                if name in last:
                    grown = value - last[name][1] if value >= last[name][1] else value
                last[name] = at, value
            samples[name, figure, begins].append((at, value, grown))
    found: dict[tuple[str, str, datetime], tuple[object, ...]] = {}
    for key, each in samples.items():
        known = [value for _, value, _ in each if value is not None]
        growths = [value for _, _, value in each if value is not None]
        mean = sum(known) / len(known) if known else None
        found[key] = (
            len(known), len(each) - len(known), min(known, default=None), max(known, default=None),
            round(mean, 6) if mean is not None else None, sum(growths) if growths else None,
        )  # fmt: skip
    return found


def read(kept: list[Rolled]) -> dict[tuple[str, str, datetime], tuple[object, ...]]:
    return {
        (each.subject.rpartition(".")[2], each.figure, each.at): (
            each.n, each.nulls, each.min, each.max, round(each.mean, 6) if each.mean is not None else None,
            each.increase,
        )
        for each in kept
    }  # fmt: skip


async def kept(database: Database, step: str, limit: int = 4_000, *, is_whole: bool = False) -> list[Rolled]:
    request = FiguresRequest(
        since=EVER[0], until=EVER[1], filters=("kgents.pulse.test.*.pod.shop.*",), step=step, limit=limit,
        is_whole=is_whole,
    )  # fmt: skip
    found: list[Rolled] = []
    while True:
        page = await figures(database, request)
        found += page.figures
        if not page.next:
            return found
        request = replace(request, after=page.next)


async def archive(database: Database, told: list[Delivery], dice: random.Random, *, created: str = "first") -> None:
    """Read batch by batch; now and then the process ends, and another one goes on from what is stored."""
    writer = PulseWriter(database)
    epoch = await writer.begin(STREAM, created, now=BEGAN, last_seq=0, before=await writer.epoch(STREAM))
    work = _Folding(epoch, await writer.carries(epoch))
    read_to = 0
    while read_to < len(told):
        batch = told[read_to : read_to + dice.randint(1, 12)]
        read_to += len(batch)
        work.take(Batch(batch, position=Position(created, batch[-1].seq, batch[-1].time_ns)))
        for chunk in work.due(0.0):
            assert chunk.position is not None
            work.epoch = await writer.write(work.epoch, chunk.rows, chunk.missing, chunk.position)
            if dice.random() < 0.2:
                await roll(database, BEGAN + timedelta(hours=1))
        if dice.random() < 0.15:  # kill -9
            writer = PulseWriter(database)
            found = await writer.epoch(STREAM)
            assert found is not None
            work, read_to = _Folding(found, await writer.carries(found)), found.position.seq
    end_ns = told[-1].time_ns + 120 * 1_000_000_000
    work.take(Batch([], position=Position(created, len(told), end_ns)))
    for chunk in work.due(0.0):
        assert chunk.position is not None
        work.epoch = await writer.write(work.epoch, chunk.rows, chunk.missing, chunk.position)


@pytest.mark.parametrize("seed", [1, 2])
async def test_each_sample_counts_once_wherever_the_archiver_ends(database: Database, seed: int) -> None:
    """Also those that came late, for minutes that were stored and hours that were made before."""
    dice = random.Random(seed)
    told = story(dice)
    await archive(database, [each for each, *_ in told], dice)
    assert read(await kept(database, "1m")) == expected(told, timedelta(minutes=1))
    assert read(await kept(database, "1h")) == expected(told, timedelta(hours=1)), "hours that are not made are summed"
    assert await roll(database, BEGAN + timedelta(hours=2)) >= 0
    assert await roll(database, BEGAN + timedelta(hours=2)) == 0
    assert read(await kept(database, "1h")) == expected(told, timedelta(hours=1))
    assert read(await kept(database, "1m", limit=9)) == expected(told, timedelta(minutes=1)), "by pages as well"

    whole = {(each.subject, each.figure): each for each in await kept(database, "1m", is_whole=True)}
    for (subject, figure), each in whole.items():
        parts = [part for part in await kept(database, "1m") if (part.subject, part.figure) == (subject, figure)]
        assert (each.n, each.nulls) == (sum(part.n for part in parts), sum(part.nulls for part in parts))
    assert len(whole) == 2 * len(NAMES)

    before = await kept(database, "1m")
    await archive(database, [each for each, *_ in told], dice, created="second")
    assert await kept(database, "1m") == before, "a stream that went back holds again what was counted"


async def test_minutes_are_dropped_and_their_hours_stay(database: Database) -> None:
    dice = random.Random(3)
    told = story(dice)
    await archive(database, [each for each, *_ in told], dice)
    await roll(database, BEGAN + timedelta(hours=2))
    assert await days.expire(database, "pulse_1m", BEGAN.date() + timedelta(days=9), 7) == 1
    assert await kept(database, "1m") == []
    assert read(await kept(database, "1h")) == expected(told, timedelta(hours=1))


async def test_of_two_archivers_one_counts(database: Database) -> None:
    one, other = PulseWriter(database), PulseWriter(database)
    epoch = await one.begin(STREAM, "first", now=BEGAN, last_seq=0, before=None)
    work = _Folding(epoch, {})
    work.take(
        Batch([delivery(1, BEGAN, pulse("a", {"x": 1.0}))], position=Position("first", 1, int(BEGAN.timestamp() * 1e9)))
    )
    work._close()
    (chunk,) = list(work._closed)
    assert chunk.position is not None
    await one.write(epoch, chunk.rows, [Hole(2, 3, BEGAN)], chunk.position)
    with pytest.raises(OvertakenError):
        await other.write(epoch, chunk.rows, [], chunk.position)
    (found,) = await kept(database, "1m")
    assert found.n == 1


async def test_figures_are_answered_by_an_archiver_that_is_stopped_and_goes_on(
    bus: Bus, server: NatsServer, config: Config, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real stream; what is stored each minute is stored each second here."""
    monkeypatch.setattr("kgents_archiver.samples.MINUTE", timedelta(seconds=1))
    ref = make_ref("a")
    await publish(bus, make_topology("a"))
    session = await bus.session()

    async def sample(value: float | None) -> None:
        message = pulse("a", {"x": value})
        await session.request(ref.subject("pulse", source="k8s"), encode(message))

    async def call() -> None:
        called = EdgeSample(
            peer=ref, kind="http", n=3, spans=3, errors_client=1, client_ms=Histogram(start=0, counts=[1], zeros=1)
        )  # one of three is a stream
        message = TrafficPulse(ref=WEB, source="otel", timestamp=datetime.now(UTC), interval_s=10, edges=[called])
        await session.request(WEB.subject("pulse", source="otel"), encode(message))

    async def numbers() -> tuple[int, int]:
        found = await kept_figures(bus, ref, datetime.now(UTC) - timedelta(hours=1))
        return sum(each.n for each in found.figures), sum(each.nulls for each in found.figures)

    for count in (10, 20):
        async with archiving(bus, config, tmp_path):
            await call()
            for value in range(9):
                await sample(float(value))
            await sample(None)
            await eventually(partial(_is, numbers, (count - count // 10, count // 10)), within_s=40)
            if count == 20:
                # The archive answers what the stream no longer holds, by whole minutes: let it hold the last one only.
                info = await session.api(f"STREAM.INFO.{STREAM}", {}, dict)
                await session.api(f"STREAM.UPDATE.{STREAM}", info["config"] | {"max_msgs": 1}, dict)
                async with serving(bus) as gateway:
                    answer = await gateway.get(f"/api/v1/entities/{key_of_ref(ref)}/metrics", since="-1h")
                    (series,) = answer["kept"]["x"]
                    assert (series["source"], sum(series["n"]), sum(series["nulls"]), answer["step"]) == (
                        "k8s",
                        18,
                        2,
                        "1m",
                    )
                    assert (min(series["min"]), max(series["max"])) == (0.0, 8.0)
                await _check_objectives(server, tmp_path / "slo.yaml", "1h")
                file = tmp_path / "minutes.parquet"
                for cluster in ("test", "other"):
                    where = ["--since", "-1h", "--parquet", str(file), "--cluster", cluster, "--nats", server.url]
                    done = await run_kgents("archive", "export", "minutes", *where)
                    assert done.code == 0, done.err
                    rows = read_table(file).to_pylist()
                    file.unlink()
                    counted = [sum(each[name] for each in rows) for name in ("n", "nulls")]
                    assert counted == ([18, 2] if cluster == "test" else [0, 0])
                    assert {(each["name"], each["source"], each["figure"]) for each in rows} <= {("a", "k8s", "x")}

                await _make_older(database, timedelta(days=3))
                await _check_objectives(server, tmp_path / "slo.yaml", "4d")


async def _make_older(database: Database, by: timedelta) -> None:
    """As if all of it had been archived before: its minutes are hours by now, and dropped."""
    now = datetime.now(UTC)
    then = (now - by).date()
    await partitions.ensure(database, "pulse_1m", [then - timedelta(days=1), then])
    async with database.connection() as connection:
        await connection.execute("update kgents.pulse_1m set at = at - $1::interval, last_at = last_at - $1", by)
        await connection.execute("update kgents.epoch set began_at = began_at - $1::interval", 2 * by)
        await connection.execute(
            "update kgents.rolled set until = date_trunc('hour', now() - $1::interval)", by + timedelta(hours=2)
        )
    assert await roll(database, now) > 0
    assert await days.expire(database, "pulse_1m", now.date(), 1) > 0


async def _check_objectives(server: NatsServer, file: Path, since: str) -> None:
    """Of requests that the stream holds no more: those that succeeded, and those within bounds that are kept."""
    file.write_text(OBJECTIVES)
    words = ("availability", "--since", since, "--objectives", str(file), "-o", "json", "--nats", server.url)
    report = json.loads((await run_kgents(*words)).out)
    found = {each["name"]: (each["good"], each["total"], each["unknown"]) for each in report["objectives"]}
    assert found == {"answers": (4, 6, 0), "fast": (4, 4, 2), "odd": (0, 0, 6)}
    assert any("within 300 ms are not known before" in each for each in report["remarks"])


async def _is(read: Callable[[], Awaitable[tuple[int, int]]], wanted: tuple[int, int]) -> bool:
    return await read() == wanted
