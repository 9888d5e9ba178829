"""The server's log file → counts of messages by severity. No text of the log leaves this module."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import BinaryIO, Final

from kgents_collector_db.mapping.postgres.sample import Messages

READ_BYTES: Final = 4 * 1024**2
"""Most bytes read in one poll: a log that grows fast must not delay it."""
SEVERITIES: Final = ("WARNING", "ERROR", "FATAL", "PANIC")

# The first severity of a line counts, since a quoted statement or message may contain another one; a line that begins
# with a tab continues the previous line.
_PLAIN: Final = re.compile(
    rb"^(?!\t)[^\n]*?\b(DEBUG\d?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|STATEMENT|CONTEXT|QUERY):  ",
    re.MULTILINE,
)
_CSV: Final = re.compile(rb"^\d{4}-\d\d-\d\d [^\n]*?,(WARNING|ERROR|FATAL|PANIC),([0-9A-Z]{5}),", re.MULTILINE)
_JSON: Final = re.compile(
    rb'^\{[^\n]*?"error_severity":"(WARNING|ERROR|FATAL|PANIC)"(?:,"state_code":"([0-9A-Z]{5})")?', re.MULTILINE
)
_BY_SUFFIX: Final = {".csv": _CSV, ".json": _JSON}
_FAILURES: Final = (b"ERROR", b"FATAL", b"PANIC")
_DISK_FULL, _REJECTED = b"53100", b"53300"
_REJECTIONS: Final = (b"sorry, too many clients", b"too many connections for ", b"remaining connection slots")
"""How English messages with `_REJECTED` begin: a plain log does not have the code."""

_Place = tuple[int, int, int]
"""Device, inode and size of a file at one moment."""


class ServerLog:
    """Follows a log file, or the newest one of a directory, over rotation. Blocks: run it in a thread.

    A file is read from its end at the previous poll, also if other files were written in between: a file named after
    the weekday is reused each week, and a server may write several formats. Messages from before the first poll are
    not counted.
    """

    def __init__(self, path: str) -> None:
        self.fault = ""
        """Why the log cannot be read; empty when it can."""
        self._path = Path(path)
        self._file: BinaryIO | None = None
        self._name: Path | None = None
        self._counts: Counter[str] = Counter()
        self._causes: Counter[bytes | None] = Counter()  # by SQLSTATE
        self._skipped_bytes = 0
        self._seen: dict[Path, _Place] | None = None

    def read(self) -> Messages | None:
        """The counts since the first poll; None when the log cannot be read."""
        try:
            found = self._poll()
            newest = max(found, key=lambda path: path.stat().st_mtime_ns)
            if self._file is None or self._is_replaced(newest):
                self._read_on()
                self._open(newest)
            self._read_on()
            self._seen = found
        except OSError as error:
            self.fault = f"expected a readable log at {self._path}, found: {error.strerror}; correct log_path, or let "
            self.fault += "this process read it"
            return None
        self.fault = ""
        by_severity = {severity.lower(): self._counts[severity] for severity in SEVERITIES}
        return Messages(by_severity, self._causes[_DISK_FULL], self._causes[_REJECTED], self._skipped_bytes)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _poll(self) -> dict[Path, _Place]:
        """The log files that exist now."""
        if not self._path.is_dir():
            return {self._path: _place(self._path.stat())}
        paths = [path for path in self._path.iterdir() if path.suffix in (".log", ".csv", ".json")]
        if not paths:
            raise FileNotFoundError(2, "no file that ends in .log, .csv or .json")
        return {path: _place(path.stat()) for path in paths}

    def _is_replaced(self, newest: Path) -> bool:
        if self._file is None or newest != self._name:
            return True
        device, inode, size = _place(newest.stat())
        return (device, inode) != _place(os.fstat(self._file.fileno()))[:2] or size < self._file.tell()

    def _open(self, path: Path) -> None:
        """Continue at this file's end of the previous poll; a new file is read from its beginning."""
        self.close()
        self._file = path.open("rb")
        self._name = path
        now = _place(os.fstat(self._file.fileno()))
        before = now if self._seen is None else self._seen.get(path)
        is_same = before is not None and before[:2] == now[:2] and before[2] <= now[2]
        self._file.seek(before[2] if before is not None and is_same else 0)

    def _read_on(self) -> None:
        if self._file is None or self._name is None:
            return
        behind = os.fstat(self._file.fileno()).st_size - self._file.tell() - READ_BYTES
        if behind > 0:
            self._skipped_bytes += behind
            self._file.seek(behind, 1)
        block = self._file.read(READ_BYTES)
        whole = block.rfind(b"\n") + 1
        self._file.seek(whole - len(block), 1)  # an incomplete line is read again with its end
        pattern = _BY_SUFFIX.get(self._name.suffix, _PLAIN)
        for hit in pattern.finditer(block, 0, whole):
            severity, *code = hit.groups()
            self._counts[severity.decode()] += 1
            if severity in _FAILURES:
                line_end = block.find(b"\n", hit.end())
                self._causes[code[0] if code else _code(block[hit.end() : line_end])] += 1


def _code(message: bytes) -> bytes | None:
    """The SQLSTATE of a message in a plain log, if it is one of those that are counted."""
    if message.endswith(b": No space left on device"):
        return _DISK_FULL
    return _REJECTED if message.startswith(_REJECTIONS) else None


def _place(status: os.stat_result) -> _Place:
    return status.st_dev, status.st_ino, status.st_size
