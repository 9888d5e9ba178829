"""What is asked of figures → what is kept of each minute or hour, and what is not known of that time."""

from datetime import datetime, timedelta
from typing import Any, Final

from kgents_archiver.store import filters
from kgents_archiver.store.coverage import coverage_of
from kgents_archiver.store.database import Database, rows
from kgents_archiver.store.pulses import HOURS, MINUTES, PULSE
from kgents_shared.contract.archive import FiguresPage, FiguresRequest, Rolled
from kgents_shared.contract.subjects import ROOT
from kgents_shared.contract.traffic import SIGNAL as TRAFFIC

EVERYTHING_MAX: Final = timedelta(hours=1)
"""Of all figures at once: a page is made of all that is asked for."""
_SIGNALS: Final = (PULSE, TRAFFIC)
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
_WHOLE: Final = """
select epoch, seq, $3::timestamptz as at, subject, last_at, figures, n, nulls, mins, maxs, sums, lasts, increases
from ({parts}) each where at <= $4
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
where s.name like $10 and ($2::text[] is null or p.subject = any(array(
        select id from kgents.subject where name = any($1) or name ~ any($2)
    )))
    and p.at <= $4 and ($5::timestamptz is null or p.at < $5 or (p.at = $5 and (s.name, f.name) > ($8, $9)))
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
    if (patterns := filters.patterns(request.filters)) is None and request.until - request.since > EVERYTHING_MAX:
        raise ValueError(f"expected filters of some entities, or of at most {EVERYTHING_MAX}; found everything")
    if request.signal not in _SIGNALS:
        raise ValueError(f"expected a signal out of {', '.join(_SIGNALS)}, found {request.signal[:32]!r}")
    parts, table = _STEPS[request.step]
    if request.is_whole:
        parts = _WHOLE.format(parts=parts)
    at, _, names = request.after.partition(" ")
    subject, _, figure = names.partition(" ")
    async with database.snapshot() as connection:
        found = await rows(
            connection, _FIGURES.format(parts=parts), filters.names(request.filters), patterns, request.since,
            request.until, datetime.fromisoformat(at) if at else None, list(request.figures), request.limit + 1,
            subject, figure, f"{ROOT}.{request.signal}.%",
        )  # fmt: skip
        coverage = await coverage_of(connection, PULSE, request.since, request.until, table=table)
    if len(found) <= request.limit:
        return FiguresPage([_rolled(each) for each in found], coverage, "")
    page = [_rolled(each) for each in found[:-1]]
    return FiguresPage(page, coverage, f"{page[-1].at.isoformat()} {page[-1].subject} {page[-1].figure}")


def _rolled(row: Any) -> Rolled:
    subject, figure, at, n, nulls, low, high, total, last, increase = row
    return Rolled(subject, figure, at, n, nulls, low, high, total / n if n else None, last, increase)
