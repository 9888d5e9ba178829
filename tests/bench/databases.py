"""What one poll of a PostgreSQL of 20,000 relations and 150 clients costs, beside Debian's exporter on the same server.

Both are counted alike: processor time of the server's sessions that serve the observer, and of the observer itself.
"""

import asyncio
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.figures import Figure
from bench.run import Run
from kgents_collector_db.source import Tier
from kgents_collector_db.source.postgres import PostgresSource
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_shared.bus.config import Secret
from kgents_shared.runtime.clock import SystemClock
from support.postgres_exporter import EXPORTER, exporter
from support.postgres_server import PASSWORD, PostgresServer
from support.postgres_watched import clients

TABLES: Final = 10_000
"""Each with an index: 20,000 relations."""
CLIENTS: Final = 150
STATEMENTS: Final = 4_000
ROUNDS: Final = 20

TIERS: Final[dict[str, tuple[Tier, ...]]] = {
    "fast tier": ("fast",),
    "fast and medium tier": ("fast", "medium"),
    "all tiers": ("fast", "medium", "slow"),
}


class Cost(msgspec.Struct, frozen=True):
    """What one poll or scrape takes."""

    wall_s: float
    server_s: float
    """Processor time of the sessions that serve it."""
    observer_s: float


async def bench(run: Run) -> None:
    settings: dict[str, Any] = {
        "max_connections": CLIENTS + 20, "max_locks_per_transaction": 256, "shared_buffers": "256MB",
        "pg_stat_statements.max": STATEMENTS + 1000,
    }  # fmt: skip
    async with PostgresServer(run.directory / "pg", **settings) as server:
        await _fill(run, server)
        login = {"user": "root", "password": "root"}
        async with (
            clients(server, CLIENTS, **login),
            exporter(server) as theirs,
            _source(server) as source,
        ):
            found: dict[str, list[Cost]] = defaultdict(list)
            for round_ in range(ROUNDS + 1):
                run.progress(f"round {round_} of {ROUNDS}" if round_ else "warming up")
                for name, tiers in TIERS.items():
                    poll = _polling(source, tiers)
                    cost = await _cost(server, "kgents", os.getpid(), poll)
                    found[name] += [cost] if round_ else []
                cost = await _cost(server, "exporter", theirs.pid, theirs.scrape)
                found[EXPORTER] += [cost] if round_ else []
    _report(run, found)


def _polling(source: PostgresSource, tiers: tuple[Tier, ...]) -> Callable[[], Awaitable[None]]:
    async def poll() -> None:
        sample = await source.read(tiers)
        if sample.unreachable is not None or sample.faults:
            raise RuntimeError(f"expected a whole poll, found {sample.unreachable or sample.faults}")

    return poll


async def _fill(run: Run, server: PostgresServer) -> None:
    run.progress(f"making {2 * TABLES:,} relations and {STATEMENTS:,} statements")
    for begin in range(0, TABLES, 500):
        await server.sql(
            f"do $$ begin for n in {begin}..{begin + 499} loop "
            "execute format('create table t%s (n int primary key)', n); end loop; end $$"
        )
    async with clients(server, 1) as (connection,):
        for number in range(STATEMENTS):
            await connection.execute(f"select {', '.join(['1'] * (number % 50 + 1))} as c{number}")
    await server.sql("analyze; checkpoint")


@asynccontextmanager
async def _source(server: PostgresServer) -> AsyncIterator[PostgresSource]:
    target = PostgresTarget(port=server.port, password=Secret(PASSWORD), tls="disable")
    async with aclosing(PostgresSource(target, SystemClock())) as source:
        yield source


async def _cost(server: PostgresServer, user: str, observer: int, work: Callable[[], Awaitable[object]]) -> Cost:
    loop = asyncio.get_running_loop()
    query = "select pid from pg_stat_activity where usename = $1"
    sessions = [row["pid"] for row in await server.sql(query, user)]
    served_s, own_s, wall_s = sum(map(_cpu_s, sessions)), _process_cpu_s(observer), loop.time()
    await work()
    wall_s, own_s = loop.time() - wall_s, _process_cpu_s(observer) - own_s
    return Cost(wall_s, sum(map(_cpu_s, sessions)) - served_s, own_s)


def _cpu_s(pid: int) -> float:
    """What a single-threaded process has used, to the nanosecond; 0 for one that has ended."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


def _process_cpu_s(pid: int) -> float:
    """What all threads of a process have used."""
    return sum(_thread_cpu_s(task) for task in Path(f"/proc/{pid}/task").iterdir())


def _thread_cpu_s(task: Path) -> float:
    try:
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


def _report(run: Run, found: dict[str, list[Cost]]) -> None:
    def median(name: str, figure: str) -> float:  # in milliseconds
        return float(statistics.median(getattr(cost, figure) for cost in found[name])) * 1000

    for name in TIERS:
        for figure, words in (("server_s", "server's CPU"), ("observer_s", "observer's CPU"), ("wall_s", "time")):
            ours, bare = median(name, figure), median(EXPORTER, figure)
            title = f"{name}, {words}, vs a scrape of {EXPORTER}"
            at_most = 1.0 if (name, figure) == ("fast tier", "server_s") else None
            run.report(Figure(bench=run.name, name=title, ours=ours, bare=bare, unit="ms", at_most=at_most))
    target = PostgresTarget()
    fast = median("fast tier", "server_s")
    medium = max(0.0, median("fast and medium tier", "server_s") - fast)
    slow = max(0.0, median("all tiers", "server_s") - fast - medium)
    share = (fast / target.interval_s + medium / target.medium_interval_s + slow / target.slow_interval_s) / 1000
    print(f"{run.name}: as scheduled by default, {share:.3%} of one core of the server", file=sys.stderr, flush=True)
