"""Parts of minutes and the position behind them → rows, in one transaction; hours out of their minutes."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec

from kgents_archiver.holes import Hole
from kgents_archiver.rollup import Carried, Carries, Part, subjects_of
from kgents_archiver.store import partitions
from kgents_archiver.store.database import Database, rows
from kgents_archiver.store.ledger import Epoch, Ledger, time_of
from kgents_shared.bus.consume import Position
from kgents_shared.contract.vocabulary.figures import COUNTERS

MINUTES: Final = "pulse_1m"
HOURS: Final = "pulse_1h"
PULSE: Final = "pulse"
CARRIED_S: Final = 7_200
"""For how long the last number of a counter counts as the one before: beyond, how much it grew is not known."""
ROLL_S: Final = 600
"""For one hour: that of 10,000 entities is made of five million values, and meanwhile the stream keeps the next."""

_HOUR: Final = timedelta(hours=1)
_INSERT: Final = """
insert into kgents.pulse_1m
    (epoch, seq, at, subject, last_at, figures, n, nulls, mins, maxs, sums, lasts, increases)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict do nothing
"""
_ROLL: Final = """
insert into kgents.pulse_1h
    (epoch, seq, at, subject, last_at, figures, n, nulls, mins, maxs, sums, lasts, increases)
select 0, 0, $1, subject, max(last_at), array_agg(figure), array_agg(n), array_agg(nulls), array_agg(low),
    array_agg(high), array_agg(total), array_agg(final), array_agg(increase)
from (
    select subject, figure, max(last_at) as last_at, sum(each.n)::integer as n, sum(each.nulls)::integer as nulls,
        min(low) as low, max(high) as high, sum(total) as total,
        (array_agg(final order by last_at desc, epoch desc, seq desc) filter (where final is not null))[1] as final,
        sum(increase) as increase
    from kgents.pulse_1m,
        unnest(figures, n, nulls, mins, maxs, sums, lasts, increases)
            as each (figure, n, nulls, low, high, total, final, increase)
    where at >= $1 and at < $2
    group by subject, figure
) figures group by subject
"""


class PulseWriter(Ledger):
    """Writes what is kept of figures."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._days: set[date] = set()
        self._figures: dict[str, int] = {}

    async def write(self, epoch: Epoch, parts: Sequence[Part], missing: Sequence[Hole], position: Position) -> Epoch:
        """Store parts, what is missing, and the position behind all that they were made of.

        Raises:
            OvertakenError: another archiver stored the same; nothing was done.
            ArchiveError: the server refused, or cannot be reached; nothing was done, or all of it.
        """
        if days := sorted({each.at.date() for each in parts} - self._days):
            await partitions.ensure(self._database, MINUTES, days)
            self._days.update(days)
        subjects = await self.numbers(subjects_of(parts))
        figures = await self._numbered({name for each in parts for name in each.figures})
        found = [_row(epoch, position, each, subjects[each.subject], figures) for each in parts]
        async with self._database.transaction() as connection:
            await self.move(connection, epoch, missing, position)
            if found:
                await self.require_numbers(connection)
                await connection.executemany(_INSERT, found)
                await connection.execute(
                    "update kgents.rolled set until = least(until, $1)", _hour(min(each.at for each in parts))
                )
        return msgspec.structs.replace(epoch, position=position)

    async def carries(self, epoch: Epoch) -> Carries:
        """The last number of each counter that is stored.

        Raises:
            ArchiveError: the server refused, or cannot be reached.
        """
        until = time_of(epoch.position.time_ns)
        async with self._database.snapshot() as connection:
            found = await rows(
                connection,
                """select distinct on (p.subject, each.figure) s.name, f.name, p.last_at, each.final
                   from kgents.pulse_1m p, unnest(p.figures, p.lasts) as each (figure, final),
                       kgents.subject s, kgents.figure f
                   where p.at > $1 and p.figures && array(select id from kgents.figure where name = any($2))
                       and each.final is not null and s.id = p.subject and f.id = each.figure and f.name = any($2)
                   order by p.subject, each.figure, p.last_at desc, p.epoch desc, p.seq desc""",
                until - timedelta(seconds=CARRIED_S), sorted(COUNTERS),
            )  # fmt: skip
        return {(subject, figure): Carried(at, value) for subject, figure, at, value in found}

    def forget_known(self) -> None:
        """See `Ledger.forget_known`."""
        super().forget_known()
        self._days.clear()
        self._figures.clear()

    async def _numbered(self, names: set[str]) -> dict[str, int]:
        if missing := sorted(names - self._figures.keys()):
            async with self._database.transaction() as connection:
                await connection.execute(
                    "insert into kgents.figure (name) select unnest($1::text[]) on conflict do nothing", missing
                )
                known = await rows(connection, "select name, id from kgents.figure where name = any($1)", missing)
            self._figures.update(dict(known))
        return self._figures


async def roll(database: Database, until: datetime) -> int:
    """Make the hours that are over by then out of their minutes, each whole; returns how many were made.

    Raises:
        ArchiveError: the server refused, or cannot be reached; what is made stays.
    """
    made, end = 0, _hour(until)
    while (hour := await _next_hour(database)) is not None and hour < end:
        await partitions.ensure(database, HOURS, [hour.date()])
        async with database.transaction() as connection:
            still = await connection.fetchval("select until from kgents.rolled for update")
            if still != hour:
                continue  # a late sample, or another archiver
            await connection.execute("delete from kgents.pulse_1h where at = $1", hour)
            await connection.execute(f"set local statement_timeout = {ROLL_S * 1_000}")
            await connection.execute(_ROLL, hour, hour + _HOUR, timeout=ROLL_S + 2)
            await connection.execute("update kgents.rolled set until = $1", hour + _HOUR)
            made += 1
    return made


async def _next_hour(database: Database) -> datetime | None:
    async with database.transaction() as connection:
        await connection.execute(
            """insert into kgents.rolled (until)
               select date_trunc('hour', min(at), 'UTC') from kgents.pulse_1m having min(at) is not null
               on conflict do nothing"""
        )
        hour: datetime | None = await connection.fetchval("select until from kgents.rolled")
    return hour


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _row(epoch: Epoch, position: Position, part: Part, subject: int, figures: dict[str, int]) -> tuple[Any, ...]:
    tallies: Iterable[Any] = list(part.figures.values())
    columns = [[getattr(each, name) for each in tallies] for name in _COLUMNS]
    numbers = [figures[name] for name in part.figures]
    return (epoch.id, position.seq, part.at, subject, part.last_at, numbers, *columns)


_COLUMNS: Final = ("n", "nulls", "min", "max", "sum", "last", "increase")
