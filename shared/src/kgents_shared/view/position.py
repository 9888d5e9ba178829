"""A reader's position and rows, in one SQLite file: Live, feed → PositionFile → Live, feed.

A sequence alone does not survive a gap: when a stream was recreated or went back, or removals have expired meanwhile,
nothing else shows what vanished. So the file keeps the rows, too, and the last messages by which a stream that went
back is found. It is as large as the rows are, and belongs to one process.
An entity is announced here before it is yielded for the first time: a reader that is killed then may know an entity
that has no row.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from kgents_shared.bus.consume import Position
from kgents_shared.bus.continuity import Known
from kgents_shared.contract.errors import ConfigError
from kgents_shared.view.fold import Row

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS scope (text TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS position (
    signal TEXT PRIMARY KEY, stream_created TEXT NOT NULL, seq INTEGER NOT NULL, time_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tail (signal TEXT PRIMARY KEY, known BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS row (subject TEXT PRIMARY KEY, payload BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS announced (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""
_TAIL: Final = msgspec.json.Decoder(tuple[Known, ...])
_IN_USE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class PositionFileInUseError(ConfigError):
    """Another reader, of this process or another one, has the file open."""


class PositionFile:
    """The file of one reader. Committed data survives kill -9; a power cut may lose the last moments."""

    def __init__(self, path: Path, scope: str) -> None:
        """Open the file, or make it. `scope`: what the reader selects; a file of another scope is refused.

        Raises:
            PositionFileInUseError: another reader has it open.
            ConfigError: it cannot be opened, or is of another scope.
        """
        self._path = path
        self._lock = threading.Lock()  # `save` runs in a thread, and may outlast a reader that is cancelled
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
        except sqlite3.Error as error:
            raise ConfigError([f"position file {path}: expected a file that can be written, found {error}"]) from error
        try:
            self._open(scope)
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def positions(self) -> dict[str, Position]:
        """Signal → where to resume; empty if the reader never completed a snapshot."""
        query = "SELECT signal, stream_created, seq, time_ns, known FROM position LEFT JOIN tail USING (signal)"
        with closing(self._db.execute(query)) as found:
            return {
                signal: Position(created, seq, time_ns, _TAIL.decode(known) if known is not None else ())
                for signal, created, seq, time_ns, known in found
            }

    def rows(self) -> Iterator[Row]:
        """The rows that the reader held."""
        with closing(self._db.execute("SELECT subject, payload FROM row")) as found:
            for subject, payload in found:
                yield Row(subject, payload)

    def announced(self) -> set[str]:
        """The keys of entities yielded for the first time, by a reader that may have been killed then."""
        with closing(self._db.execute("SELECT key FROM announced")) as found:
            return {key for (key,) in found}

    def announce(self, keys: Iterable[str]) -> None:
        """Record entities that are about to be yielded for the first time.

        Raises:
            ConfigError: the file cannot be written.
        """
        with self._transaction() as db:
            db.executemany("INSERT OR IGNORE INTO announced VALUES (?)", [(key,) for key in keys])

    def save(self, rows: Iterable[Row], positions: Mapping[str, Position], announced: Iterable[str] = ()) -> None:
        """Save what a reader has handled, in one transaction. With positions, only `announced` stays announced.

        Waits for the disk; safe to call in a thread.

        Raises:
            ConfigError: the file cannot be written.
        """
        listed = list(rows)
        kept = [(row.subject, row.payload) for row in listed if row.payload is not None]
        removed = [(row.subject,) for row in listed if row.payload is None]
        places = [(signal, each.stream_created, each.seq, each.time_ns) for signal, each in positions.items()]
        tails = [(signal, msgspec.json.encode(each.tail)) for signal, each in positions.items()]
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO row VALUES (?, ?)", kept)
            db.executemany("DELETE FROM row WHERE subject = ?", removed)
            db.executemany("INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?)", places)
            db.executemany("INSERT OR REPLACE INTO tail VALUES (?, ?)", tails)
            if places:
                db.execute("DELETE FROM announced")
                db.executemany("INSERT INTO announced VALUES (?)", [(key,) for key in announced])

    def clear(self) -> None:
        """Drop rows and positions. Announced entities stay announced: the reader may know them."""
        self._db.executescript("DELETE FROM row; DELETE FROM position; DELETE FROM tail;")

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise ConfigError([f"position file {self._path}: expected room to write, found {error}"]) from error

    def _open(self, scope: str) -> None:
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
            found = self._db.execute("SELECT text FROM scope").fetchone()
            if found is None:
                self._db.execute("INSERT INTO scope VALUES (?)", (scope,))
        except sqlite3.Error as error:
            if error.sqlite_errorcode in _IN_USE:
                raise PositionFileInUseError(
                    [f"position file {self._path}: expected no other reader with it open, found one; use another file"]
                ) from error
            raise ConfigError(
                [f"position file {self._path}: expected a position file, found {error}; use another file"]
            ) from error
        if found is not None and found[0] != scope:
            raise ConfigError(
                [f"position file {self._path}: expected one of {scope!r}, found one of {found[0]!r}; use another file"]
            )
