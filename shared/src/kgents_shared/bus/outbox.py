"""The bounded buffer on disk for messages that NATS cannot take now: log.py → Outbox → log.py, also after a restart.

One SQLite file, one process. It holds pulses and events only; state needs no buffer, since only the newest
message counts. What is committed survives kill -9; the last moments before a power cut may be lost.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec

from kgents_shared.bus.logger import get_logger
from kgents_shared.contract.errors import ConfigError

T = TypeVar("T")

MAX_BYTES: Final = 100 * 1024**2
"""Default bound of what is kept. The file is an eighth larger, with messages of an unlucky size twice as large."""

READ_BYTES: Final = 8 * 1024**2
"""What one read brings into memory at most, but for its last message."""

_IN_USE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
# The last one says "no such column": a file of another layout.
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, subject TEXT NOT NULL, headers BLOB NOT NULL, payload BLOB NOT NULL
) STRICT
"""

_encode = msgspec.json.Encoder().encode
_decode_headers = msgspec.json.Decoder(dict[str, str]).decode
_log = get_logger(__name__)


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message on its way to a stream."""

    id: int
    """Its place in the order of publishing."""
    subject: str
    headers: dict[str, str]
    payload: bytes

    @property
    def bytes(self) -> int:
        """What it takes on the wire, headers and all: the server's max_payload counts them too."""
        return len(self.payload) + sum(len(key) + len(value) + 4 for key, value in self.headers.items()) + 12


class Outbox:
    """Messages in the order of their ids, each of them until it is deleted, or evicted because newer ones need room.

    Ids must rise from one append to the next. Every call is short, so all of it runs on the event loop. A disk that
    fails costs messages, which are counted, and never the service.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        """Open the file, or make it; a corrupt one is moved aside to `<name>.corrupt`.

        Raises:
            ConfigError: another process has it open, or it cannot be written.
        """
        self.bytes = 0
        """Sum of the sizes of the messages kept."""
        self.last_id = 0
        """The newest id ever seen in this file; 0 if there was none."""
        self.evicted = 0
        """Messages dropped since the start: no room for them, or a disk that failed."""
        self.corrupted = 0
        """Files moved aside since the start."""
        self._count = 0
        self._path = path
        self._max_bytes = max_bytes
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = self._open_sound()
        except (sqlite3.DatabaseError, OSError) as error:
            raise _unusable(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; another process may open it now."""
        self._db.close()

    def __len__(self) -> int:
        return self._count

    def append(self, messages: Sequence[Message]) -> None:
        """Keep these behind all others; the oldest are evicted beyond `max_bytes`."""
        rows = [(each.id, each.bytes, each.subject, _encode(each.headers), each.payload) for each in messages]
        added = sum(row[1] for row in rows)

        def insert() -> tuple[int, int]:
            self._db.executemany(
                "INSERT INTO message (id, bytes, subject, headers, payload) VALUES (?, ?, ?, ?, ?)", rows
            )
            return self._evict(self.bytes + added - self._max_bytes)

        evicted = self._transact(insert, None)
        self.last_id = max([self.last_id, *(each.id for each in messages)])
        if evicted is None:
            self.evicted += len(messages)
            return
        count, size = evicted
        self._count += len(messages) - count
        self.bytes += added - size
        self.evicted += count

    def first(self, count: int) -> list[Message]:
        """The oldest messages, at most so many, and fewer if they are large."""

        def select() -> list[Message]:
            found: list[Message] = []
            size = 0
            query = "SELECT id, bytes, subject, headers, payload FROM message ORDER BY id LIMIT ?"
            for id_, bytes_, subject, headers, payload in self._db.execute(query, (count,)):
                found.append(Message(id_, subject, _decode_headers(headers), payload))
                size += bytes_
                if size >= READ_BYTES:
                    break
            return found

        return self._transact(select, [])

    def delete(self, ids: Iterable[int]) -> bool:
        """Forget messages, whether they are still here or not. False: the disk failed, and they are kept."""
        wanted = _encode(list(ids)).decode()

        def delete() -> list[int]:
            query = "DELETE FROM message WHERE id IN (SELECT value FROM json_each(?)) RETURNING bytes"
            return [size for (size,) in self._db.execute(query, (wanted,))]

        sizes = self._transact(delete, None)
        if sizes is None:
            return False
        self._count -= len(sizes)
        self.bytes -= sum(sizes)
        return True

    def _evict(self, excess: int) -> tuple[int, int]:
        """Make room for so many bytes. Returns how many messages went, and their size."""
        count = size = last = 0
        for id_, bytes_ in self._db.execute("SELECT id, bytes FROM message ORDER BY id"):
            if size >= excess:
                break
            count, size, last = count + 1, size + bytes_, id_
        if count:
            self._db.execute("DELETE FROM message WHERE id <= ?", (last,))
        return count, size

    def _transact(self, work: Callable[[], T], otherwise: T) -> T:
        """One transaction; returns `otherwise` when the disk fails."""
        try:
            with self._db:
                return work()
        except (sqlite3.DatabaseError, msgspec.DecodeError) as error:
            if _is_corrupt(error):
                self._begin_again(error)
            else:
                _log.error("buffer_failed", path=str(self._path), error=str(error), kept=self._count)
            return otherwise

    def _begin_again(self, error: Exception) -> None:
        """Drop a file that turned out to be corrupt while in use."""
        self.evicted += self._count
        self._count = self.bytes = 0
        self._db.close()
        try:
            self._move_aside(error)
            self._db = self._open()
        except (sqlite3.DatabaseError, OSError) as second:  # closed as it is, it counts all that comes as evicted
            _log.error("buffer_replacement_failed", path=str(self._path), error=str(second))

    def _open_sound(self) -> sqlite3.Connection:
        try:
            return self._open()
        except sqlite3.DatabaseError as error:
            if not _is_corrupt(error):
                raise
            self._move_aside(error)
            return self._open()

    def _open(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)  # SQLite would let the group read it; what it makes beside it takes this mode over
        db = sqlite3.connect(self._path, timeout=0)
        try:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")  # before WAL: then no other process gets in
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA wal_autocheckpoint = 250")  # pages: each checkpoint syncs, and 250 take some 3 ms
            db.execute("PRAGMA journal_size_limit = 4194304")  # or the log stays as large as it ever was
            db.execute(_SCHEMA)
            query = "SELECT count(*), coalesce(sum(bytes), 0), coalesce(max(id), 0) FROM message"
            self._count, self.bytes, newest = db.execute(query).fetchone()
        except BaseException:
            db.close()
            raise
        self.last_id = max(self.last_id, newest)
        return db

    def _move_aside(self, error: Exception) -> None:
        """Keep one corrupt file for people to examine."""
        self.corrupted += 1
        aside = self._path.with_name(self._path.name + ".corrupt")
        for suffix in ("", "-wal", "-journal"):
            with suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).replace(aside.with_name(aside.name + suffix))
        _log.error("buffer_corrupt", path=str(aside), error=str(error))


def _is_corrupt(error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        code: int | None = getattr(error, "sqlite_errorcode", None)  # none when Python's own layer complains
        return code is not None and code & 0xFF in _CORRUPT  # the low byte is the kind, the rest its detail
    return isinstance(error, msgspec.DecodeError)


def _unusable(path: Path, error: sqlite3.DatabaseError | OSError) -> ConfigError:
    code: int = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF in _IN_USE:
        return ConfigError([f"outbox {path}: another process has it open; give each process its own data directory"])
    return ConfigError([f"outbox {path}: expected a file that can be written, found: {error}; check its permissions"])
