"""`pg_stat_statements`, wherever it is and whatever it can: the extension → StatementSum and Statements."""

from typing import Any

import asyncpg  # type: ignore[import-untyped]

from kgents_collector_db.mapping.postgres.sample import Identity, Statement, Statements, StatementSum
from kgents_collector_db.source.postgres import queries
from kgents_collector_db.source.postgres.poll import Poll
from kgents_collector_db.source.postgres.queries import StatementsView
from kgents_collector_db.source.postgres.session import Session


class StatementsReader:
    """Finds the extension at the first poll of a session, and again at each medium one while it is missing."""

    def __init__(self) -> None:
        self.state = "unknown"
        """What the sample says of it."""
        self.before: Statements | None = None
        self.last: Statements | None = None
        self._view: StatementsView | None = None
        self._is_due = True  # to look for the extension

    def forget(self) -> None:
        """There is another session now, perhaps with another server."""
        self.state, self._view, self._is_due = "unknown", None, True

    async def read_sum(self, poll: Poll, session: Session) -> StatementSum | None:
        """The fast section."""
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
        except (asyncpg.SyntaxOrAccessError, asyncpg.InvalidSchemaNameError):  # dropped, moved, or another version now
            self._lose("absent")
        except asyncpg.PostgresError:
            poll.fault("statements", "pg_stat_statements could not be read in time")
        else:
            self.state = "available"
            return poll.converted("statements", row, StatementSum)
        return None

    async def read_all(self, poll: Poll, session: Session, identity: Identity, total: StatementSum | None) -> None:
        """The medium section: `last` becomes `before`."""
        if self._view is None or total is None:
            self._is_due = True  # it may have been created meanwhile
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
