"""One poll in progress: the sections read so far, faults, and cost → PostgresSample."""

from collections.abc import Awaitable, Mapping
from typing import Any, Final, TypeVar

import asyncpg  # type: ignore[import-untyped]
import msgspec

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.postgres.sample import Database, Identity, Messages, PostgresSample
from kgents_collector_db.source.postgres import failure
from kgents_collector_db.source.postgres.failure import UnreachableError
from kgents_collector_db.source.postgres.session import Session
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_shared.runtime.clock import Clock

T = TypeVar("T")

PASSING: Final = (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError, asyncpg.InvalidCatalogNameError)
"""Refusals that the next poll may not meet: the last one is of a database that was dropped meanwhile."""
LACKING: Final = (
    asyncpg.FeatureNotSupportedError,
    asyncpg.UndefinedFunctionError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
)
"""This server, of another version or product, does not have what was asked for."""


class Poll:
    """Each section may fail by itself; a lost connection or a timeout ends the poll.

    Every query that the server refuses is an ERROR in its log. So what it refused is asked for again only when the
    source forgets the refusal, not at every poll.
    """

    def __init__(self, target: PostgresTarget, clock: Clock, refused: "Refused") -> None:
        self.sections: dict[str, object] = {}
        """By field of the sample."""
        self.costly: dict[str, object] = {}
        """Sections of the costly tiers: kept until they are read again."""
        self.connections = 1
        self._faults: dict[str, str] = {}
        self._refused = refused
        self.queries = 0
        self._target = target
        self._clock = clock
        self._started_s = clock.monotonic_s()
        self._budget_s = max(target.interval_s, target.statement_timeout_s)

    async def ask(self, answer: Awaitable[T]) -> T:
        """Wait for the answer to one query.

        Raises:
            UnreachableError: none came; the session is unusable.
            asyncpg.PostgresError: the server refused this query only.
        """
        self.queries += 1
        try:
            return await answer
        except TimeoutError:
            raise UnreachableError(await failure.of_silence(self._target)) from None
        except Exception as error:
            if failure.is_lost(error):
                raise UnreachableError(failure.refused(self._target, "the connection was lost")) from None
            raise

    async def rows(self, session: Session, section: str, sql: str, *arguments: object) -> list[dict[str, Any]] | None:
        """The rows of one section; None, and a fault, when it cannot be read."""
        if self._clock.monotonic_s() - self._started_s > self._budget_s:
            self.fault(section, f"skipped, since the poll already took {self._budget_s:g} s")
            return None
        if section in self._refused:
            return None
        try:
            return [_readable(row) for row in await self.ask(session.fetch(sql, *arguments))]
        except asyncpg.PostgresError as error:
            self.fault(section, _explained(error, self._target))
            if not isinstance(error, PASSING):
                self._refused[section] = (self._faults[section], isinstance(error, LACKING))
        except ValueError as error:  # such as a name in another encoding than the database's
            self.fault(section, f"the server's answer cannot be read ({type(error).__name__})")
        return None

    async def many(self, session: Session, section: str, sql: str, row: type[T], *arguments: object) -> None:
        """Read a section of any number of rows."""
        found = await self.rows(session, section, sql, *arguments)
        if (read := self.converted(section, found, tuple[row, ...])) is not None:  # type: ignore[valid-type]
            self.sections[section] = read

    async def one(self, session: Session, section: str, sql: str, row: type[T]) -> None:
        """Read a section of one row."""
        found = await self.rows(session, section, sql)
        if (read := self.converted(section, found[0] if found else None, row)) is not None:
            self.sections[section] = read

    def converted(self, section: str, found: object, kind: type[T]) -> T | None:
        """The rows converted to this type; None, and a fault, when they do not fit it."""
        if found is None:
            return None
        try:
            return msgspec.convert(found, kind)
        except msgspec.ValidationError as error:
            self.fault(section, f"the server's answer has an unknown form ({error})")
            return None

    def fault(self, section: str, text: str) -> None:
        """Add a section that could not be read."""
        self._faults[section] = f"{section}: {text}"

    def databases(self) -> list[str]:
        """The databases that we may log in to, as far as this poll has read them."""
        databases: tuple[Database, ...] = self.sections.get("databases", ())  # type: ignore[assignment]
        return [each.datname for each in databases if not each.is_guestless]

    def sample(self, identity: Identity, kept: Mapping[str, object], statements_state: str) -> PostgresSample:
        """The sample of a poll that succeeded."""
        refused = {section: text for section, (text, _) in self._refused.items()}
        lacking = {section for section, (_, is_lacking) in self._refused.items() if is_lacking}
        faults = {**refused, **self._faults}
        return self._sample(
            identity=identity,
            statements_state=statements_state,
            faults=tuple(faults.values()),
            unread=frozenset(faults.keys() - lacking),
            **{**kept, **self.sections},
        )

    def unreachable(self, unreachable: Unreachable, messages: Messages | None) -> PostgresSample:
        """The sample of a failed poll: its cause, and the message counts of the log file."""
        return self._sample(unreachable=unreachable, messages=messages)

    def _sample(self, **fields: Any) -> PostgresSample:
        return PostgresSample(
            at=self._clock.now(),
            address=self._target.address,
            connections=0 if fields.get("unreachable") else self.connections,
            queries=self.queries,
            poll_s=self._clock.monotonic_s() - self._started_s,
            **fields,
        )


Refused = dict[str, tuple[str, bool]]
"""Section → why the server refused it, and whether it does not have it at all."""


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its names as text. They are read as bytes, since each is in the encoding of who chose it.

    A database whose name is not UTF-8 cannot be logged in to.
    """
    for column, value in row.items():
        if isinstance(value, bytes):
            row[column] = value.decode("utf-8", "backslashreplace")
            if "is_guestless" in row:
                row["is_guestless"] |= row[column].encode() != value
    return row


def _explained(error: asyncpg.PostgresError, target: PostgresTarget) -> str:
    match error:
        case asyncpg.QueryCanceledError():
            return f"the server cancelled it after statement_timeout_s ({target.statement_timeout_s:g} s); it is busy"
        case asyncpg.InsufficientPrivilegeError():
            return f"{target.user} may not read it; GRANT pg_monitor TO {target.user}"
        case asyncpg.LockNotAvailableError():
            return "another session holds an exclusive lock on it; it is tried again at the next poll"
        case _:
            return f"the server refused the query (SQLSTATE {getattr(error, 'sqlstate', None) or 'none'})"
