"""`pg_stat_statements` in any schema and version → StatementSum and Statements."""

from typing import Any

import asyncpg  # type: ignore[import-untyped]

from kgents_collector_db.mapping.postgres.sample import Identity, Statement, Statements, StatementSum
from kgents_collector_db.source.postgres import queries
from kgents_collector_db.source.postgres.poll import Poll
from kgents_collector_db.source.postgres.queries import StatementsView
from kgents_collector_db.source.postgres.session import Session


class StatementsReader:
    """Searches the extension at the first poll of a session, and at each medium poll while it is absent."""

    def __init__(self) -> None:
        self.state = "unknown"
        """`PostgresSample.statements_state`."""
        self.before: Statements | None = None
        self.last: Statements | None = None
        self._view: StatementsView | None = None
        self._is_due = True  # to search the extension

    def forget(self) -> None:
        """Start over for a new session, perhaps with another server."""
        self.state, self._view, self._is_due = "unknown", None, True

    def retry(self) -> None:
        """Try again what the server refused, which is an ERROR in its log each time."""
        self._is_due |= self._view is None

    async def read_sum(self, poll: Poll, session: Session) -> StatementSum | None:
        """Read the section of fast polls."""
        if self._is_due:
            await self._discover(poll, session)
        if self._view is None:
            return None
        try:
            (row,) = await poll.ask(session.fetch(self._view.sum))
        except asyncpg.ObjectNotInPrerequisiteStateError:
            self._lose("not preloaded")
        except asyncpg.InsufficientPrivilegeError:
            self._lose("not permitted")
        except (asyncpg.SyntaxOrAccessError, asyncpg.InvalidSchemaNameError):  # dropped, moved, or another version
            self._lose("absent")
        except asyncpg.PostgresError:
            poll.fault("statements", "pg_stat_statements could not be read in time")
        else:
            self.state = "available"
            return poll.converted("statements", row, StatementSum)
        return None

    async def read_all(self, poll: Poll, session: Session, identity: Identity, total: StatementSum | None) -> None:
        """Read the section of medium polls: `last` becomes `before`."""
        if self._view is None or total is None:
            self._is_due |= self.state in ("absent", "unknown")  # it may be created meanwhile
            return
        rows: list[dict[str, Any]] | None = await poll.rows(session, "statements", self._view.rows)
        statements = poll.converted("statements", rows, tuple[Statement, ...])
        if statements is not None:
            now = Statements(identity.now, identity.started, total.dealloc, total.stats_reset, statements)
            self.before, self.last = self.last, now

    def _lose(self, state: str) -> None:
        self.state, self._view = state, None

    async def _discover(self, poll: Poll, session: Session) -> None:
        found = await poll.rows(session, "statements", queries.STATEMENTS_COLUMNS)
        if found is None:
            return
        self._is_due = False
        if not found:
            self.state = "absent"
        else:
            self._view = StatementsView(found[0]["schema"], found[0]["columns"], has_info=found[0]["has_info"])
