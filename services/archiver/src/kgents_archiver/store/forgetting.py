"""What is to be forgotten → rows that are removed, the names of what has none left, and a mark that answers name.

Each day of each table is a transaction of its own, so what is stored meanwhile waits for none of them for long.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import msgspec

from kgents_archiver.compression import DamagedError, Unpacking
from kgents_archiver.store import filters
from kgents_archiver.store.database import LOCK_TIMEOUT, Database, rows
from kgents_archiver.store.partitions import EVENT, SIGNALS, STATES, base_table, beginning, day_of
from kgents_archiver.store.pulses import HOURS, MINUTES, PULSE
from kgents_shared.contract import subjects, traffic
from kgents_shared.contract.audit import ANCHOR, FORGET
from kgents_shared.contract.codec import AUDIT, INCIDENT
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.vocabulary.kinds import NAMESPACE

STATEMENT_S: Final = 600
"""For the rows of one day."""
NAMES: Final = 1_000
"""Names that are removed at once, while no one else may store anything."""
RECORDS_MAX: Final = 10_000
"""Records of the audit trail in one go: the record of it names each."""

_ENTITIES: Final = ("topology", "health", "alert", EVENT, PULSE)
"""Signals whose subjects name an entity."""


class Wanted(msgspec.Struct, frozen=True):
    """What is to be forgotten: of entities, or of the audit trail."""

    before: datetime
    namespace: str = ""
    """Of which entities everything; empty: of none."""
    cluster: str = ""
    """Of which clusters; empty: of all."""
    who: str = ""
    """Whose writes lose their content; empty: no one's."""

    def filters(self) -> list[str]:
        """NATS filters of the subjects that name such an entity."""
        named = {"cluster": self.cluster} if self.cluster else {}
        found = []
        for signal in _ENTITIES if self.namespace else ():
            found.append(subjects.pattern(signal, **named, namespace=self.namespace))
            found.append(subjects.pattern(signal, **named, kind=NAMESPACE, name=self.namespace))
        if self.namespace:  # what its applications called
            found.append(traffic.filter_of(subjects.pattern(PULSE, **named, namespace=self.namespace)))
        return found

    def takes(self, ref: Ref) -> bool:
        """Whether it is one of these entities."""
        is_in = self.namespace == ref.namespace or (ref.kind, ref.name) == (NAMESPACE, self.namespace)
        return bool(self.namespace) and is_in and self.cluster in ("", ref.cluster)


class Found(msgspec.Struct, frozen=True):
    """What there is to forget."""

    subjects: list[int]
    records: list[int]
    """Numbers of records of the audit trail."""
    entries: int
    """Rows of `subjects` that go."""


class _Removal(msgspec.Struct, frozen=True):
    """The rows of one table that go."""

    table: str
    which: str
    """A condition, beside that they are of one of the subjects."""
    arguments: tuple[object, ...]
    """Of the condition, from the second on."""

    @property
    def where(self) -> str:
        return f"where subject = any($1) and {self.which}"


async def find(database: Database, wanted: Wanted) -> Found:
    """What there is to forget: all of before the time, but what is still so then.

    So the state at any later moment stays what it was.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    async with database.snapshot() as connection:
        await connection.execute(f"set local statement_timeout = '{STATEMENT_S}s'")
        ids = await _subjects(connection, wanted)
        entries = 0
        for each in await _removals(connection, ids, wanted.before):
            sql = f"select count(*) from kgents.{each.table} {each.where}"  # noqa: S608 - ours
            entries += await connection.fetchval(sql, ids, *each.arguments, timeout=STATEMENT_S)
        return Found(ids, await _records(connection, wanted), entries)


async def forget(database: Database, wanted: Wanted, found: Found) -> int:
    """Remove it, so that no crash brings it back; returns how many rows of entities. Cut off, it is repeated whole.

    Raises:
        ArchiveError: the server refused, or cannot be reached; a part may be removed.
    """
    # First: from now on no answer keeps silent about it.
    async with database.transaction(is_durable=True) as connection:
        await connection.execute(
            "insert into kgents.forgotten (before, entries) values ($1, $2)", wanted.before, found.entries
        )
    async with database.snapshot() as connection:
        removals = await _removals(connection, found.subjects, wanted.before)
    removed = 0
    for each in removals:
        for part in await _parts(database, each.table):
            async with database.transaction(is_durable=True) as connection:
                await connection.execute(f"set local statement_timeout = '{STATEMENT_S}s'")
                sql = f"delete from kgents.{part} {each.where}"  # noqa: S608 - ours
                done = await connection.execute(sql, found.subjects, *each.arguments, timeout=STATEMENT_S)
                removed += int(done.split()[-1])
    await _forget_names(database, found.subjects)
    async with database.transaction(is_durable=True) as connection:
        await connection.execute(
            "update kgents.audit set forgotten = sha256(body), body = '' where n = any($1) and forgotten is null",
            found.records,
        )
    return removed


async def _removals(connection: "asyncpg.Connection[Any]", ids: Sequence[int], before: datetime) -> list[_Removal]:
    found = [_Removal(table, "at < $2", (before,)) for table in (EVENT, MINUTES, HOURS)]
    for signal in STATES:
        last = await rows(
            connection,
            f"""select epoch, seq from (
                    select distinct on (subject) epoch, seq, is_gone from kgents.{signal}
                    where subject = any($1) and at < $2 order by subject, epoch desc, seq desc
                ) last where not is_gone""",  # noqa: S608 - ours
            ids, before,
        )  # fmt: skip
        which = "at < $2 and (epoch, seq) not in (select * from unnest($3::integer[], $4::bigint[]))"
        found.append(_Removal(signal, which, (before, [each[0] for each in last], [each[1] for each in last])))
        base = await connection.fetchval(
            "select max(day) from kgents.base where signal = $1 and day <= $2", signal, day_of(before)
        )
        if base is None:
            continue
        changed = await rows(
            connection,
            f"select distinct subject from kgents.{signal} where subject = any($1) and at >= $2 and at < $3",  # noqa: S608
            ids, beginning(base), before,
        )  # fmt: skip
        which = "(day < $2 or (day = $2 and subject = any($3)))"
        found.append(_Removal(base_table(signal), which, (base, [number for (number,) in changed])))
    return found


async def _subjects(connection: "asyncpg.Connection[Any]", wanted: Wanted) -> list[int]:
    patterns = filters.patterns(wanted.filters())
    if patterns is None:
        return []
    named = await rows(connection, "select id from kgents.subject where name ~ any($1)", patterns)
    return sorted({*(number for (number,) in named), *await _incidents(connection, wanted)})


async def _incidents(connection: "asyncpg.Connection[Any]", wanted: Wanted) -> set[int]:
    """Those whose cause is one of the entities: only their messages name it."""
    unpacking = Unpacking(dict(await rows(connection, "select id, body from kgents.dictionary")))
    found: set[int] = set()
    for table in ("incident", base_table("incident")):
        sql = f"select subject, codec, body from kgents.{table} where at < $1 and octet_length(body) > 0"  # noqa: S608
        async for subject, codec, body in connection.cursor(sql, wanted.before):
            try:
                incident = INCIDENT.decode(unpacking.unpack(codec, body))
            except (DamagedError, MalformedMessageError):
                continue
            if wanted.takes(incident.root.ref):
                found.add(subject)
    return found


async def _records(connection: "asyncpg.Connection[Any]", wanted: Wanted) -> list[int]:
    found: list[int] = []
    if not wanted.who:
        return found
    sql = "select n, body from kgents.audit where at < $1 and forgotten is null order by n"
    async for n, body in connection.cursor(sql, wanted.before):
        try:
            record = AUDIT.decode(body)
        except MalformedMessageError:
            continue
        is_of_trail = record.action in (FORGET, ANCHOR)  # which say what is missing from it, and how long it was
        if record.by == wanted.who and wanted.cluster in ("", record.cluster) and not is_of_trail:
            found.append(n)
            if len(found) == RECORDS_MAX:
                break
    return found


async def _parts(database: Database, table: str) -> Sequence[str]:
    sql = """select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
             where i.inhparent = $1::text::regclass order by 1"""
    async with database.snapshot() as connection:
        return [name for (name,) in await rows(connection, sql, f"kgents.{table}")]


async def _forget_names(database: Database, ids: Sequence[int]) -> None:
    """Remove the names of which nothing is left. Who stores something meanwhile asks again for the numbers it knows."""
    tables = (*SIGNALS, *(base_table(signal) for signal in STATES), MINUTES, HOURS)
    unused = " and ".join(f"not exists (select from kgents.{table} t where t.subject = s.id)" for table in tables)
    for at in range(0, len(ids), NAMES):
        async with database.transaction(is_durable=True) as connection:
            await connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
            await connection.execute("lock table kgents.forgotten in access exclusive mode")
            await connection.execute(
                f"delete from kgents.subject s where id = any($1) and {unused}",  # noqa: S608 - ours
                ids[at : at + NAMES],
            )
