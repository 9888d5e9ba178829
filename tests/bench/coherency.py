"""What a round of the coherency probe costs PostgreSQL, Qdrant and the collector, at two sizes of the table.

PostgreSQL is real. Of Qdrant, whose stand-in says nothing of its speed, what it is asked for is counted.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import Final

import msgspec

from bench.figures import Figure
from bench.run import Run
from kgents_collector_db.source.coherency.rows import STATEMENT_TIMEOUT_S
from kgents_collector_db.targets.coherency import CoherencyTarget
from support.compared import COLUMNS, Stores, stores

ROWS: Final = (100_000, 1_000_000)
QUICK_ROWS: Final = (10_000,)
ROUNDS: Final = 20
MISSING_EVERY: Final = 100
"""One row of so many has no vector, so that there is something to read again in each round."""


class Cost(msgspec.Struct, frozen=True):
    """What one round took."""

    wall_s: float
    server_s: float
    """Processor time of PostgreSQL."""
    own_s: float
    """Processor time of the collector."""
    requests: float
    """To Qdrant."""
    judged: float
    """Rows and vectors."""


async def bench(run: Run) -> None:
    async with stores(run.directory / "coherency") as both:
        for rows in QUICK_ROWS if run.is_quick else ROWS:
            run.progress(f"making {rows:,} rows")
            await _fill(both, rows)
            cost = await _cost(both, run.rounds(ROUNDS))
            _report(run, cost, rows)
            await both.postgres.sql("drop table articles")


async def _fill(both: Stores, rows: int) -> None:
    await both.fill(0)
    await both.postgres.sql(
        f"insert into articles (id, body) select n, repeat('x', 200) from generate_series(1, {rows}) as n"  # noqa: S608
    )
    await both.postgres.sql("vacuum analyze articles")
    await both.postgres.sql("checkpoint")
    payload = {"revision": 1}
    both.qdrant.points["articles"] = {n: payload for n in range(1, rows + 1) if n % MISSING_EVERY}


async def _cost(both: Stores, rounds: int) -> Cost:
    """The mean of some rounds after a first one, which fills caches.

    They run in a thread of their own, so that what the stand-in takes, in this one, is not counted.
    """
    await asyncio.to_thread(lambda: asyncio.run(_rounds(both, 1)))
    server_s, requests, at = _ended_s(both.postgres.pid), len(both.qdrant.seen), time.perf_counter()
    own_s, judged = await asyncio.to_thread(lambda: asyncio.run(_rounds(both, rounds)))
    wall_s = time.perf_counter() - at
    await asyncio.sleep(1)  # until the last session has ended
    each = (wall_s, _ended_s(both.postgres.pid) - server_s, own_s, len(both.qdrant.seen) - requests, judged)
    return Cost(*(value / rounds for value in each))


async def _rounds(both: Stores, rounds: int) -> tuple[float, int]:
    """Processor time of this thread, and how much was judged."""
    source, judged = both.source(**COLUMNS), 0
    begun_s = time.thread_time()
    try:
        for _ in range(rounds):
            sample = await source.read(())
            if sample.unreachable is not None or not sample.rows.missing:
                raise RuntimeError(f"expected a comparison that finds what is missing, found {sample}")
            judged += sample.rows.judged + sample.points.judged
    finally:
        await source.aclose()
    return time.thread_time() - begun_s, judged


def _ended_s(pid: int) -> float:
    """Processor time of the sessions of a server that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _report(run: Run, cost: Cost, rows: int) -> None:
    of = f", {rows:,} rows"
    for name, ours, unit, at_most in (
        ("a round, PostgreSQL's CPU", cost.server_s * 1e3, "ms", 200),
        ("a round, the collector's CPU", cost.own_s * 1e3, "ms", 500),
        ("a round, time", cost.wall_s, "s", 2 * STATEMENT_TIMEOUT_S),
        ("a round, requests to Qdrant", cost.requests, "messages", 30),
        ("a round, rows and vectors that it judges", cost.judged, "messages", None),
    ):
        run.report(Figure(bench=run.name, name=name + of, ours=ours, unit=unit, at_most=at_most))  # type: ignore[arg-type]
    target = CoherencyTarget(postgres="orders", qdrant="vectors", table="articles", collection="articles")
    share = (cost.server_s + cost.own_s) / target.interval_s
    run.progress(
        f"a round each {target.interval_s:g} s: {share:.3%} of one core for PostgreSQL and the collector together"
    )
