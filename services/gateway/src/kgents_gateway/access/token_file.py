"""The file of tokens on this machine → its tokens, or what is wrong with it."""

from pathlib import Path
from typing import Final

from kgents_shared.contract.tokens import Entries, MalformedTokensError, entries_of

FILE_BYTES_MAX: Final = 1_048_576


def read(path: str) -> Entries:
    """What a file holds.

    Raises:
        MalformedTokensError, OSError: it cannot be read, or is none.
    """
    return entries_of(content(path))


def words(error: Exception) -> str:
    """What is wrong with the file; nothing of its content."""
    match error:
        case MalformedTokensError():
            return str(error)
        case OSError():
            return error.strerror or "an unreadable file"
        case _:
            return "a file that is no UTF-8 text"


def content(path: str) -> str:
    """The text of a file.

    Raises:
        MalformedTokensError, OSError, UnicodeDecodeError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        found = file.read(FILE_BYTES_MAX + 1)
    if len(found) > FILE_BYTES_MAX:
        raise MalformedTokensError(f"expected a file of at most {FILE_BYTES_MAX} bytes, found more")
    return found.decode()
