"""The bounded buffer on disk for messages that NATS cannot take now: log.py → Outbox → log.py, also after a restart.

One SQLite file, one process. It holds pulses and events only; state needs no buffer, since only the newest
message counts. What is committed survives kill -9; the last moments before a power cut may be lost.
"""

import errno
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    id INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, subject TEXT NOT NULL, headers BLOB NOT NULL, payload BLOB NOT NULL,
    taken_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS mark (stream TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT;
"""
_ADD_TAKEN: Final = "ALTER TABLE message ADD COLUMN taken_ms INTEGER NOT NULL DEFAULT 0"

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
    taken_ms: int = 0
    """When it was published, in Unix milliseconds; 0: not known."""

    @property
    def bytes(self) -> int:
        """What it takes on the wire, headers and all: the server's max_payload counts them too."""
        names, values = sum(map(len, self.headers)), sum(map(len, self.headers.values()))
        return len(self.payload) + names + values + 4 * len(self.headers) + 12


class Outbox:
    """Messages in the order of their ids, each of them until it is deleted, or evicted because newer ones need room.

    Ids must rise from one append to the next. Every call is short, so all of it runs on the event loop. A disk that
    fails is a `fault` and never ends the service.
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
        """Messages dropped since the start: no room for them, or a file that went bad."""
        self.marks: dict[str, int] = {}
        """Stream → a sequence behind which everything lies that is here and may be stored there already."""
        self.fault = ""
        """Why the disk does not work; empty while it does."""
        self.max_bytes: Final = max_bytes
        self.corrupted = 0
        """Files moved aside since the start."""
        self._count = 0
        self._path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = self._open_sound()
        except (sqlite3.DatabaseError, OSError) as error:
            if not _is_full(error):
                raise _unusable(path, error) from error
            self._fail(error)
            self._db = _closed()

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

    def append(self, messages: Sequence[Message], marks: Mapping[str, int] | None = None) -> bool:
        """Keep these behind all others; the oldest are evicted beyond `max_bytes`, or if the disk has no more room.

        Returns:
            Whether they are on disk now. False: it failed, and holds what it held before.
        """
        added = sum(each.bytes for each in messages)
        done = self._transact(lambda: self._insert(messages, marks or {}, self.max_bytes), otherwise=False)
        if not done and self.bytes >= added:
            done = self._transact(lambda: self._insert(messages, marks or {}, self.bytes), otherwise=False)
        if done:
            self.fault = ""
            self.last_id = max([self.last_id, *(each.id for each in messages)])
        return done

    def first(self, count: int) -> list[Message]:
        """The oldest messages, at most so many, and fewer if they are large."""

        def select() -> list[Message]:
            found: list[Message] = []
            size = 0
            query = "SELECT id, bytes, subject, headers, payload, taken_ms FROM message ORDER BY id LIMIT ?"
            for id_, bytes_, subject, headers, payload, taken_ms in self._db.execute(query, (count,)):
                found.append(Message(id_, subject, _decode_headers(headers), payload, taken_ms))
                size += bytes_
                if size >= READ_BYTES:
                    break
            return found

        return self._transact(select, [])

    def delete(self, ids: Iterable[int], marks: Mapping[str, int] | None = None) -> bool:
        """Forget messages, whether they are still here or not. False: the disk failed, and they are kept."""
        unneeded = _encode(list(ids)).decode()

        def delete() -> list[int]:
            self._note(marks or {})
            query = "DELETE FROM message WHERE id IN (SELECT value FROM json_each(?)) RETURNING bytes"
            return [size for (size,) in self._db.execute(query, (unneeded,))]

        sizes = self._transact(delete, None)
        if sizes is None:
            return False
        self.fault = ""
        self._count -= len(sizes)
        self.bytes -= sum(sizes)
        return True

    def check(self) -> None:
        """End `fault` if the disk works again."""
        try:
            self._db.total_changes  # noqa: B018 - raises if it is closed
        except sqlite3.ProgrammingError:
            try:
                self._db = self._open()
            except (sqlite3.DatabaseError, OSError) as error:
                self._fail(error)
                return
        self.delete([], {"": self.marks.get("", 0) + 1})

    def _insert(self, messages: Sequence[Message], marks: Mapping[str, int], limit_bytes: int) -> bool:
        """Evict first, so that the file need not grow. Counts are changed only when all of it has succeeded."""
        self._note(marks)
        added = sum(each.bytes for each in messages)
        count, size = self._evict(self.bytes + added - limit_bytes)
        dropped, kept = 0, added
        while self.bytes - size + kept > limit_bytes:
            kept -= messages[dropped].bytes
            dropped += 1
        rows = [
            (each.id, each.bytes, each.subject, _encode(each.headers), each.payload, each.taken_ms)
            for each in messages[dropped:]
        ]
        self._db.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._db.commit()
        self._count += len(rows) - count
        self.bytes += kept - size
        self.evicted += count + dropped
        return True

    def _note(self, marks: Mapping[str, int]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO mark VALUES (?, ?)", marks.items())

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

    def _fail(self, error: Exception) -> None:
        if not self.fault:
            _log.error("buffer_failed", path=str(self._path), error=str(error), kept=self._count)
        self.fault = f"{self._path}: {error}"

    def _transact(self, work: Callable[[], T], otherwise: T) -> T:
        """One transaction; returns `otherwise` when the disk fails."""
        try:
            with self._db:
                return work()
        except (sqlite3.DatabaseError, msgspec.DecodeError) as error:
            self._fail(error)
            if _is_corrupt(error):
                self._begin_again(error)
            return otherwise

    def _begin_again(self, error: Exception) -> None:
        """Drop a file that turned out to be corrupt while in use."""
        self.evicted += self._count
        self._count = self.bytes = 0
        self._db.close()
        try:
            self._move_aside(error)
            self._db = self._open()
        except (sqlite3.DatabaseError, OSError) as second:  # closed as it is, it keeps nothing until the next `check`
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
            db.executescript(_SCHEMA)
            if "taken_ms" not in [name for _, name, *_ in db.execute("PRAGMA table_info(message)")]:
                db.execute(_ADD_TAKEN)  # a file of an earlier version
            self.marks = dict(db.execute("SELECT stream, seq FROM mark"))
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


def _closed() -> sqlite3.Connection:
    """Stands for a file that cannot be opened now: everything fails."""
    db = sqlite3.connect(":memory:")
    db.close()
    return db


def _is_full(error: Exception) -> bool:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or (isinstance(error, OSError) and error.errno == errno.ENOSPC)


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
