"""Messages → the file of a recording, whole when its name is the one that was asked for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from kgents_cli.recorded.redacted import Redactor
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.recording import MEMBER_BYTES, Encoder, Row


class Tape:
    """The file while it is written."""

    def __init__(
        self,
        out: BinaryIO,
        started_at: datetime,
        clusters: Sequence[str],
        redactor: Redactor | None,
        made: Sequence[str],
    ) -> None:
        """`made`: which messages of services are in it, too; a redacted one has none, as they can be made again."""
        self._out = out
        self._redactor = redactor
        self._encoder = Encoder()
        self._rows: list[Row] = []
        self._size = 0
        names = clusters if redactor is None else [redactor.cluster(each) for each in clusters]
        kept = made if redactor is None else ()
        out.write(self._encoder.begin(names, started_at, f"kgents {version('kgents-cli')}", kept))

    @property
    def messages(self) -> int:
        """Messages that are written, or about to be."""
        return self._encoder.messages + len(self._rows)

    def put(self, row: Row) -> None:
        """The next message."""
        kept = row if self._redactor is None else self._redactor.row(row)
        if kept is None:
            return
        self._rows.append(kept)
        self._size += len(kept.body)
        if self._size >= MEMBER_BYTES:
            self._write()

    def flush(self) -> None:
        """Write what was put, for readers of the file while it grows."""
        self._write()
        self._out.flush()

    def end(self) -> None:
        """Write the rest, and the end."""
        self._write()
        self._out.write(self._encoder.end())

    def _write(self) -> None:
        if self._rows:
            self._out.write(self._encoder.member(self._rows))
        self._rows, self._size = [], 0


@contextmanager
def part_of(file: Path) -> Iterator[BinaryIO]:
    """`FILE.part` to write to, which becomes FILE at the end.

    Raises:
        KgentsError: another recording writes it, or it cannot be written.
    """
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("xb") as out:
            yield out
    except FileExistsError:
        raise KgentsError(f"another recording writes {part}; try: another name, or remove it") from None
    except OSError as error:
        raise KgentsError(f"cannot write {part}: {error.strerror}; what it holds can be replayed") from None
    part.rename(file)
