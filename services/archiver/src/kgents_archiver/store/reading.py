"""What is asked of the archive → a page of what it holds of that time, and what it does not know of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import msgspec

from kgents_archiver.compression import DamagedError, Unpacking
from kgents_archiver.store import filters
from kgents_archiver.store.coverage import coverage_of, kept_since, never
from kgents_archiver.store.database import Database, rows
from kgents_archiver.store.partitions import SIGNALS, STATES
from kgents_archiver.store.state import last, start_of
from kgents_shared.contract.archive import Coverage, StateRequest, Stored, VersionsRequest
from kgents_shared.contract.errors import NotFoundError

PACKED_BYTES_MAX: Final = 2 * 1024**2
"""What the server may hand over at once; unpacked it is some ten times as much."""
BYTES_MAX: Final = 8 * 1024**2
"""What a page may hold, but for one message, which may be larger."""
FEW: Final = 200
"""So many subjects are looked up one by one; more are found while everything of that time is read."""

_STATE: Final = """
select name as place, name, seq, at, is_gone, codec, body from (
    select *, sum(octet_length(body)) over (order by name collate "C") - octet_length(body) as before from (
        select name, seq, at, is_gone, codec, body from ({found}) found join kgents.subject on id = subject
        where not is_gone and name collate "C" > $5 and ($6::text[] is null or name ~ any($6))
        order by name collate "C" limit $7
    ) first
) page where before < $8 order by name collate "C"
"""
_OF_ALL: Final = """
select epoch, seq, at, subject, is_gone, codec, body from kgents.{table}
where at between $1 and $2 and (epoch, seq) {after} ($3, $4) and ($5::bigint[] is null or subject = any($5))
order by epoch {order}, seq {order} limit $6
"""
_OF_FEW: Final = """
select each.* from unnest($5::bigint[]) wanted, lateral (
    select epoch, seq, at, subject, is_gone, codec, body from kgents.{table}
    where subject = wanted and at between $1 and $2 and (epoch, seq) {after} ($3, $4)
    order by epoch {order}, seq {order} limit $6
) each order by epoch {order}, seq {order} limit $6
"""
_VERSIONS: Final = """
select epoch || '-' || seq as place, name, seq, at, is_gone, codec, body from (
    select *, sum(octet_length(body)) over (order by epoch {order}, seq {order}) - octet_length(body) as before
    from ({found}) first
) page join kgents.subject on id = subject where before < $7 order by epoch {order}, seq {order}
"""


class Found(msgspec.Struct, frozen=True):
    """A page, and where each of its messages stands."""

    messages: list[Stored]
    places: list[str]
    """For each message: what a page has to go on after that ends with it."""
    coverage: Coverage
    next: str
    """Where the next page begins; empty: this is the last one."""


class Reader:
    """Reads over one connection, one question at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unpacking = Unpacking({})
        self._made_at: dict[int, datetime] = {}  # of its dictionaries: an older backup may have been restored since

    async def state(self, request: StateRequest) -> Found:
        """What each subject of a signal said last until a moment; what was removed by then is left out.

        Raises:
            NotFoundError: the moment is before what is kept, or the signal was never archived.
            ValueError: the request makes no sense; the text says why.
            ArchiveError: the server refused, or cannot be reached.
        """
        signal, moment = request.signal, request.at
        _require(signal, STATES)
        patterns = filters.patterns(request.filters)
        async with self._database.snapshot() as connection:
            await _require_kept(connection, signal, moment)
            if (start := await start_of(connection, signal, moment)) is None:
                raise never(signal)
            sql, arguments = last(signal, start, moment)
            found = await rows(
                connection,
                _STATE.format(found=sql),
                *arguments, request.after, patterns, request.limit, PACKED_BYTES_MAX,
            )  # fmt: skip
            coverage = await coverage_of(connection, signal, moment, moment)
            return await self._page(connection, found, coverage, request.limit)

    async def versions(self, request: VersionsRequest) -> Found:
        """The messages of a signal in a stretch of time, in their order or the newest first.

        Raises:
            NotFoundError: the signal was never archived.
            ValueError: the request makes no sense; the text says why.
            ArchiveError: the server refused, or cannot be reached.
        """
        signal = request.signal
        _require(signal, SIGNALS)
        epoch, seq = _place(request)
        order, after = ("desc", "<") if request.newest_first else ("asc", ">")
        async with self._database.snapshot() as connection:
            ids = await _ids(connection, request.filters)
            found: Sequence[Any] = []
            if ids != []:
                which = _OF_FEW if ids is not None and len(ids) <= FEW else _OF_ALL
                sql = _VERSIONS.format(found=which.format(table=signal, order=order, after=after), order=order)
                found = await rows(
                    connection, sql, request.since, request.until, epoch, seq, ids, request.limit, PACKED_BYTES_MAX
                )
            coverage = await coverage_of(connection, signal, request.since, request.until)
            return await self._page(connection, found, coverage, request.limit)

    async def _page(
        self, connection: "asyncpg.Connection[Any]", found: Sequence[Any], coverage: Coverage, limit: int
    ) -> Found:
        made_at = dict(await rows(connection, "select id, made_at from kgents.dictionary"))
        if made_at != self._made_at:
            dictionaries = await rows(connection, "select id, body from kgents.dictionary")
            self._unpacking, self._made_at = Unpacking(dict(dictionaries)), made_at
        messages: list[Stored] = []
        places: list[str] = []
        read = damaged = size = 0
        for place, name, seq, at, is_gone, codec, packed in found:
            if size > BYTES_MAX:
                break
            read += 1
            try:
                body = self._unpacking.unpack(codec, packed)
            except DamagedError:
                damaged += 1
                continue
            size += len(body)
            messages.append(Stored(name, seq, at, is_gone, body))
            places.append(place)
        # Fewer than asked for are the last ones, unless the bound on bytes was met: then an empty page may follow.
        is_last = read == len(found) < limit and sum(len(row[-1]) for row in found) < PACKED_BYTES_MAX
        next_ = "" if is_last or not found else found[read - 1][0]
        return Found(messages, places, msgspec.structs.replace(coverage, damaged=damaged), next_)


def _require(signal: str, known: Sequence[str]) -> None:
    if signal not in known:
        raise ValueError(f"expected a signal out of {', '.join(known)}, found {signal[:32]!r}")


def _place(request: VersionsRequest) -> tuple[int, int]:
    """The place behind which a page begins."""
    if not request.after:
        return (2**31 - 1, 2**63 - 1) if request.newest_first else (0, 0)
    epoch, dash, seq = request.after.partition("-")
    if not (dash and epoch.isdecimal() and seq.isdecimal() and int(epoch) < 2**31 and int(seq) < 2**63):
        raise ValueError(f"expected after as `next` of a page, found {request.after[:32]!r}")
    return int(epoch), int(seq)


async def _ids(connection: "asyncpg.Connection[Any]", given: Sequence[str]) -> list[int] | None:
    """The subjects that some filters match; None: all."""
    if (patterns := filters.patterns(given)) is None:
        return None
    names = filters.names(given)
    if len(names) == len(given):
        found = await rows(connection, "select id from kgents.subject where name = any($1)", names)
    else:
        found = await rows(connection, "select id from kgents.subject where name ~ any($1)", patterns)
    return [number for (number,) in found]


async def _require_kept(connection: "asyncpg.Connection[Any]", signal: str, moment: datetime) -> None:
    since = await kept_since(connection, signal)
    if since is not None and moment < since:
        raise NotFoundError(f"expected a time since {since:%Y-%m-%d}, up to which {signal} is kept, found {moment:%F}")
