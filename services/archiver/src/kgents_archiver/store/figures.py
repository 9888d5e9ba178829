"""What is asked of figures → what is kept of each minute or hour, and what is not known of that time."""

from datetime import datetime
from typing import Any, Final

from kgents_archiver.store import filters
from kgents_archiver.store.coverage import coverage_of
from kgents_archiver.store.database import Database, rows
from kgents_archiver.store.pulses import HOURS, MINUTES, PULSE
from kgents_shared.contract.archive import FiguresPage, FiguresRequest, Rolled

_MINUTES: Final = "select * from kgents.pulse_1m where at >= date_trunc('minute', $3::timestamptz, 'UTC')"
# Hours that are not made yet are the sum of their minutes, too.
_HOURS: Final = """
select * from kgents.pulse_1h where at >= date_trunc('hour', $3::timestamptz, 'UTC')
union all
select epoch, seq, date_trunc('hour', at, 'UTC'), subject, last_at, figures, n, nulls, mins, maxs, sums, lasts,
    increases
from kgents.pulse_1m where at >= coalesce((select until from kgents.rolled), '-infinity')
    and at >= date_trunc('hour', $3::timestamptz, 'UTC')
"""
_STEPS: Final = {"1m": (_MINUTES, MINUTES), "1h": (_HOURS, HOURS)}
_FIGURES: Final = """
select s.name, f.name, p.at, sum(each.n)::integer, sum(each.nulls)::integer, min(each.low), max(each.high),
    sum(each.total),
    (array_agg(each.final order by p.last_at desc, p.epoch desc, p.seq desc)
        filter (where each.final is not null))[1],
    sum(each.increase)
from ({parts}) p
    join kgents.subject s on s.id = p.subject
    cross join lateral unnest(p.figures, p.n, p.nulls, p.mins, p.maxs, p.sums, p.lasts, p.increases)
        as each (number, n, nulls, low, high, total, final, increase)
    join kgents.figure f on f.id = each.number
where p.subject = any(array(select id from kgents.subject where name = any($1) or name ~ any($2)))
    and p.at <= $4 and ($5::timestamptz is null or p.at < $5)
    and (cardinality($6::text[]) = 0 or f.name = any($6))
group by s.name, f.name, p.at order by p.at desc, s.name, f.name limit $7
"""


async def figures(database: Database, request: FiguresRequest) -> FiguresPage:
    """What is kept of some figures, the newest first.

    Raises:
        NotFoundError: figures were never archived.
        ValueError: the request makes no sense; the text says why.
        ArchiveError: the server refused, or cannot be reached.
    """
    if request.step not in _STEPS:
        raise ValueError(f"expected a step out of {', '.join(_STEPS)}, found {request.step[:32]!r}")
    if (patterns := filters.patterns(request.filters)) is None:
        raise ValueError("expected filters of one entity or a few, found everything")
    parts, table = _STEPS[request.step]
    before = datetime.fromisoformat(request.after) if request.after else None
    async with database.snapshot() as connection:
        found = await rows(
            connection, _FIGURES.format(parts=parts), filters.names(request.filters), patterns, request.since,
            request.until, before, list(request.figures), request.limit + 1,
        )  # fmt: skip
        coverage = await coverage_of(connection, PULSE, request.since, request.until, table=table)
    if len(found) <= request.limit:
        return FiguresPage([_rolled(each) for each in found], coverage, "")
    last = found[-1][2]  # all of one time is on one page
    whole = [each for each in found if each[2] > last]
    if not whole:
        raise ValueError(f"expected at most {request.limit} figures at one time, found more; try: fewer entities")
    return FiguresPage([_rolled(each) for each in whole], coverage, whole[-1][2].isoformat())


def _rolled(row: Any) -> Rolled:
    subject, figure, at, n, nulls, low, high, total, last, increase = row
    return Rolled(subject, figure, at, n, nulls, low, high, total / n if n else None, last, increase)
