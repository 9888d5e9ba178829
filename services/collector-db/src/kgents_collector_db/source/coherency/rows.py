"""The PostgreSQL side of a comparison: the table as it is, random rows of it, and the rows of given keys."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, Final, Self

import asyncpg  # type: ignore[import-untyped]
from msgspec import Struct, structs

from kgents_collector_db.mapping.coherency.sample import Key, Revision, Row, drawn
from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.postgres.sample import Identity
from kgents_collector_db.source.coherency import queries
from kgents_collector_db.source.postgres import failure
from kgents_collector_db.source.postgres.failure import UnreachableError
from kgents_collector_db.source.postgres.session import Session, open_session
from kgents_collector_db.targets.coherency import CoherencyTarget
from kgents_collector_db.targets.postgres import PostgresTarget

STATEMENT_TIMEOUT_S: Final = 2.0
"""Of each of our queries. Those of a table of a million rows take milliseconds."""
ROWS_READ_MAX: Final = 50_000
"""Rows on the pages that one round draws from: the server reads whole pages, and narrow rows are many on each."""

_INTEGERS: Final = ("smallint", "integer", "bigint")
_KEYS: Final = (*_INTEGERS, "uuid", "text", "character varying")
_ARRAYS: Final = {"integer": "int8[]", "uuid": "uuid[]", "text": "text[]"}
"""Kind of a key → type of an array of keys by which its index is searched."""
_TIMES: Final = ("timestamp with time zone", "timestamp without time zone")


class Table(Struct, frozen=True):
    """What the catalogue says of the table."""

    kind: str
    has_children: bool
    """Whether some of its rows are in other tables."""
    bytes: int
    page_bytes: int
    rows_about: float
    """Negative: it was never counted."""
    is_filtered: bool
    key_type: str | None
    updated_at_type: str | None
    revision_type: str | None
    deleted_type: str | None
    is_indexed: bool

    @property
    def types(self) -> queries.Columns:
        return queries.Columns(self.updated_at_type, self.deleted_type)

    @property
    def pages(self) -> int:
        return -(-self.bytes // self.page_bytes)

    @property
    def key_kind(self) -> str:
        """`integer`, `uuid` or `text`."""
        return "integer" if self.key_type in _INTEGERS else "uuid" if self.key_type == "uuid" else "text"


class Drawn(Struct, frozen=True):
    """Sampled rows."""

    rows: list[Row]
    about: int | None
    """About how many rows there are."""
    is_census: bool
    """Whether these are all rows."""


class Rows:
    """One read-only login for one reading of the table."""

    def __init__(self, session: Session, target: CoherencyTarget, server: PostgresTarget) -> None:
        self._session = session
        self._target = target
        self._server = server
        self.table: Table

    @classmethod
    async def open(cls, target: CoherencyTarget, server: PostgresTarget) -> Self:
        """Log in and describe the table.

        Raises:
            UnreachableError: the server, the table or one of its columns cannot be read as configured.
        """
        changes = {"statement_timeout_s": STATEMENT_TIMEOUT_S, "database": target.database or server.database}
        server = structs.replace(server, **changes)
        session, identity = await open_session(server)
        rows = cls(session, target, server)
        try:
            rows.table = await rows._described(identity)
        except BaseException:
            session.drop()
            raise
        return rows

    async def aclose(self) -> None:
        """Log out."""
        await self._session.aclose()

    async def sample(self, most: int, random: Random) -> Drawn:
        """Single rows at random, each as likely as any other; about `most`, or all if there are no more."""
        pages, target, types = self.table.pages, self._target, self.table.types
        if pages <= most:
            count = int((await self._fetch(queries.count(target, types)))[0]["rows"])
            percent = min(100.0, 100.0 * most / max(1, count))
            found = await self._fetch(queries.some_rows(target, types), percent)
            return Drawn([self._row(each) for each in found], count, percent == 100.0)
        about, is_known = self.table.rows_about, self.table.rows_about >= 0 and target.deleted is None
        in_page = max(1.0, about / pages)
        percent = 100.0 * min(most, ROWS_READ_MAX / in_page) / pages
        found = await self._fetch(queries.row_of_pages(target, types), percent)
        return Drawn(drawn([self._row(each) for each in found], random.random), int(about) if is_known else None, False)

    async def of_keys(self, keys: Iterable[Key]) -> dict[Key, list[Revision | None]]:
        """The revisions of the rows with these keys; a key without a row is left out."""
        given = sorted(keys, key=str)
        found: dict[Key, list[Revision | None]] = {}
        sql = queries.rows_of_keys(self._target, self.table.types, _ARRAYS[self.table.key_kind])
        for row in map(self._row, await self._fetch(sql, given) if given else ()):
            if row.key is not None:
                found.setdefault(row.key, []).append(row.revision)
        return found

    def _row(self, row: dict[str, Any]) -> Row:
        key = row["key"]
        return Row(
            key if key is None or isinstance(key, int) else str(key),
            row["revision"],
            row.get("is_settled", True),
            row.get("in_page", 1),
        )

    async def _described(self, identity: Identity) -> Table:
        target = self._target
        if identity.in_recovery:
            where = self._server.address
            raise _unusable(f"a primary at {where}", "a standby, whose rows may be old", "name the primary")
        arguments = (target.schema, target.table, target.key, target.updated_at, target.revision, target.deleted)
        found = await self._fetch(queries.DESCRIBE, *arguments)
        if not found:
            raise _unusable(f"a table {queries.table(target)}", "none of that name", "correct it, or `database`")
        table = Table(**found[0])
        name = queries.table(target)
        if table.kind != "r" or table.has_children:
            raise _unusable(f"an ordinary table {name}", "a view or partitions", "only one whole table can be compared")
        if table.is_filtered:
            advice = "let the role bypass it: rows that it hides would count as vectors without row"
            raise _unusable(f"all rows of {name}", "that row-level security hides some", advice)
        if table.key_type not in _KEYS:
            raise _unusable(f"an integer, uuid or text {queries.quoted(target.key)} in {name}",
                            table.key_type or "no such column", "name another key")  # fmt: skip
        if not table.is_indexed:
            advice = "create one: each key would be a scan of the table"
            raise _unusable(f"an index of {name} that begins with {queries.quoted(target.key)}", "none", advice)
        for column, kind, allowed in (
            (target.updated_at, table.updated_at_type, _TIMES),
            (target.revision, table.revision_type, (*_INTEGERS, *_TIMES)),
            (target.deleted, table.deleted_type, ("boolean", *_TIMES)),
        ):
            if column is not None and kind not in allowed:
                expected = f"{queries.quoted(column)} in {name} with one of the types {', '.join(allowed)}"
                raise _unusable(expected, kind or "no such column", "name another column")
        return table

    async def _fetch(self, sql: str, *arguments: object) -> Sequence[dict[str, Any]]:
        """The rows of one query.

        Raises:
            UnreachableError: there was no answer that can be used.
        """
        try:
            return await self._session.fetch(sql, *arguments)
        except TimeoutError:
            raise UnreachableError(await failure.of_silence(self._server)) from None
        except asyncpg.QueryCanceledError:
            expected = f"{queries.table(self._target)} to be read within {STATEMENT_TIMEOUT_S:g} s"
            raise _unusable(expected, "that it takes longer", "try: a smaller sample", "own limit") from None
        except asyncpg.InsufficientPrivilegeError:
            raise self._forbidden() from None
        except asyncpg.LockNotAvailableError:
            expected = f"to read {queries.table(self._target)}"
            raise _unusable(expected, "an exclusive lock on it", "it is tried again in the next round") from None
        except (*failure.FAULTS, ValueError) as error:
            if failure.is_lost(error):
                raise UnreachableError(failure.refused(self._server, "the connection was lost")) from None
            code = getattr(error, "sqlstate", None) or type(error).__name__
            expected = f"to read {queries.table(self._target)}"
            raise _unusable(expected, f"SQLSTATE {code}", "see the server's log") from None

    def _forbidden(self) -> UnreachableError:
        target = self._target
        columns = [
            each for each in (target.key, target.updated_at, target.revision, target.deleted) if each is not None
        ]
        granted = ", ".join([*map(queries.quoted, columns), "ctid"])
        grant = f"GRANT SELECT ({granted}) ON {queries.table(target)} TO {queries.quoted(self._server.user)}"
        schema = f"GRANT USAGE ON SCHEMA {queries.quoted(target.schema)} TO {queries.quoted(self._server.user)}"
        expected = f"that {self._server.user} may read {queries.table(target)}"
        return _unusable(expected, "no such right", f"try: {schema}; {grant}", "missing privilege")


def _unusable(expected: str, found: str, advice: str, cause: str = "unreadable") -> UnreachableError:
    return UnreachableError(Unreachable("degraded", cause, f"expected {expected}, found {found}; {advice}"))
