"""The server's own log → how many messages of each severity came since the last look. No text leaves this module."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import BinaryIO, Final

from kgents_collector_db.mapping.postgres.sample import Messages

READ_BYTES: Final = 4 * 1024**2
"""In one look, so that a log gone wild does not hold us up: some 10 ms."""
SEVERITIES: Final = ("WARNING", "ERROR", "FATAL", "PANIC")

_PLAIN: Final = re.compile(rb"^[^\n]*?\b(WARNING|ERROR|FATAL|PANIC):  ", re.MULTILINE)
_CSV: Final = re.compile(rb"^\d{4}-\d\d-\d\d [^\n]*?,(WARNING|ERROR|FATAL|PANIC),[0-9A-Z]{5},", re.MULTILINE)
_JSON: Final = re.compile(rb'^\{[^\n]*?"error_severity":"(WARNING|ERROR|FATAL|PANIC)"', re.MULTILINE)
_BY_SUFFIX: Final = {".csv": _CSV, ".json": _JSON}


class ServerLog:
    """Follows a log file over rotation; what was there before the first look is not counted."""

    def __init__(self, path: str) -> None:
        self.fault = ""
        """Why it cannot be read; empty when all is well."""
        self._path = Path(path)
        self._file: BinaryIO | None = None
        self._name: Path | None = None
        self._counts: Counter[str] = Counter()
        self._skipped_bytes = 0
        self._is_first = True

    def read(self) -> Messages | None:
        """The counts since the start; None while nothing could be read."""
        try:
            newest = self._newest()
            if self._file is None or self._is_replaced(newest):
                self._read_on()
                self._open(newest)
            self._read_on()
        except OSError as error:
            self.fault = f"expected a readable log at {self._path}, found: {error.strerror}; correct log_path, or let "
            self.fault += "this process read it"
            return None
        self.fault = ""
        by_severity = {severity.lower(): self._counts[severity] for severity in SEVERITIES}
        return Messages(by_severity, self._skipped_bytes)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _newest(self) -> Path:
        if not self._path.is_dir():
            return self._path
        files = [path for path in self._path.iterdir() if path.suffix in (".log", ".csv", ".json")]
        if not files:
            raise FileNotFoundError(2, "no file that ends in .log, .csv or .json")
        return max(files, key=lambda path: path.stat().st_mtime_ns)

    def _is_replaced(self, newest: Path) -> bool:
        if self._file is None or newest != self._name:
            return True
        now, ours = newest.stat(), os.fstat(self._file.fileno())
        return (now.st_ino, now.st_dev) != (ours.st_ino, ours.st_dev) or now.st_size < self._file.tell()

    def _open(self, path: Path) -> None:
        self.close()
        self._file = path.open("rb")
        self._name = path
        if self._is_first:
            self._file.seek(0, 2)
            self._is_first = False

    def _read_on(self) -> None:
        if self._file is None or self._name is None:
            return
        behind = os.fstat(self._file.fileno()).st_size - self._file.tell() - READ_BYTES
        if behind > 0:
            self._skipped_bytes += behind
            self._file.seek(behind, 1)
        block = self._file.read(READ_BYTES)
        whole = block.rfind(b"\n") + 1
        self._file.seek(whole - len(block), 1)  # half a line is read with its other half
        pattern = _BY_SUFFIX.get(self._name.suffix, _PLAIN)
        self._counts.update(hit.group(1).decode() for hit in pattern.finditer(block[:whole]))
