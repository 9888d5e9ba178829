"""A signal and a moment → where its state at that moment is: in which life of the stream, and from which base on."""

from datetime import date, datetime
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import msgspec

from kgents_archiver.store.partitions import base_table, beginning, day_of
from kgents_shared.contract.streams import NAME_BY_SIGNAL


class Start(msgspec.Struct, frozen=True):
    """What the state at a moment is made of."""

    epoch: int
    """The life of the stream at that moment; what an earlier one held was lost with it."""
    epoch_began_at: datetime
    base: date | None
    """The day whose stored state comes before the versions; None: they are all there."""


_LAST: Final = """
select distinct on (subject) subject, seq, at, codec, body, is_gone from (
    select subject, seq, at, codec, body, false as is_gone from kgents.{base}
        where day = $2::date and epoch = $1
    union all
    select subject, seq, at, codec, body, is_gone from kgents.{table}
        where epoch = $1 and at <= $4 and ($3::timestamptz is null or at >= $3)
) versions order by subject, seq desc
"""
"""Its last message is the one with the highest sequence: the clock of a server may be set back."""


async def start_of(connection: "asyncpg.Connection[Any]", signal: str, moment: datetime) -> Start | None:
    """Where the state at a moment is; None if the stream was never archived."""
    stream = NAME_BY_SIGNAL[signal]
    # Of before the first life there is what the stream still held when it was first read.
    found = await connection.fetchrow(
        """(select id, began_at, false from kgents.epoch where stream = $1 and began_at <= $2 order by id desc limit 1)
           union all (select id, began_at, true from kgents.epoch where stream = $1 order by id limit 1)
           limit 1""",
        stream, moment,
    )  # fmt: skip
    if found is None:
        return None
    epoch, began_at, _ = found
    base = await connection.fetchval(
        "select max(day) from kgents.base where signal = $1 and day <= $2 and day > $3",
        signal, day_of(moment), day_of(began_at),
    )  # fmt: skip
    return Start(epoch, began_at, base)


def last(signal: str, start: Start, moment: datetime) -> tuple[str, tuple[object, ...]]:
    """The query for what each subject said last until a moment, and its arguments."""
    since = beginning(start.base) if start.base is not None else None
    return _LAST.format(table=signal, base=base_table(signal)), (start.epoch, start.base, since, moment)
