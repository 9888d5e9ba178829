"""A directory with copies of streams: its manifest, the files, and whether they are what was written."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from kgents_shared.bus.snapshot import Copied
from kgents_shared.contract.errors import KgentsError

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
READ_BYTES: Final = 64 * 1024


class CopiedStream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream in a backup."""

    stream: str
    file: str
    sha256: str
    size_bytes: int
    config: dict[str, Any]
    state: dict[str, Any]

    @property
    def copied(self) -> Copied:
        """What the server needs to restore it."""
        return Copied(self.config, self.state)

    @property
    def messages(self) -> int:
        """How many messages it held."""
        return int(self.state.get("messages", 0))


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. It is written last: a directory without one is an unfinished backup."""

    format: int = FORMAT
    made_at: datetime
    made_by: str
    streams: list[CopiedStream]


def write(folder: Path, manifest: Manifest) -> None:
    """Finish a backup."""
    part = folder / f"{MANIFEST}.part"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    part.rename(folder / MANIFEST)


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a backup, whose files may be missing or damaged.

    Raises:
        KgentsError: there is none that can be read, or it names a file outside of the folder.
    """
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise KgentsError(f"expected a backup in {folder}, found no {MANIFEST}: it was not finished") from None
    except (OSError, msgspec.DecodeError) as error:
        raise KgentsError(f"expected the manifest of a backup in {path}, found: {error}") from None
    if manifest.format > FORMAT:
        raise KgentsError(f"expected a backup of format {FORMAT}, found {manifest.format}; try: a newer kgents")
    for each in manifest.streams:
        if Path(each.file).name != each.file:
            raise KgentsError(f"{path}: {each.stream}: expected a file in the directory, found {each.file}")
    return manifest


def read(folder: Path) -> Manifest:
    """The manifest of a backup, each of whose files was compared with its digest.

    Raises:
        KgentsError: it is none, is unfinished, or a file is not what was written.
    """
    manifest = manifest_of(folder)
    faults = [fault for each in manifest.streams if (fault := _fault(folder, each))]
    if faults:
        raise KgentsError(f"the backup in {folder} is damaged, nothing was restored: {'; '.join(faults)}")
    return manifest


def _fault(folder: Path, stream: CopiedStream) -> str:
    if stream.config.get("name") != stream.stream:  # the server does not survive it
        return f"{stream.stream}: expected its configuration, found that of {stream.config.get('name')}"
    try:
        found = sha256_of(folder / stream.file)
    except OSError as error:
        return f"{stream.file}: {error.strerror}"
    return "" if found == stream.sha256 else f"{stream.file}: its SHA-256 differs from the manifest's"


def sha256_of(path: Path) -> str:
    """The digest of a file, as a manifest has it."""
    digest = hashlib.sha256()
    for chunk in chunks_of(path):
        digest.update(chunk)
    return digest.hexdigest()


def chunks_of(path: Path) -> Iterator[bytes]:
    """The bytes of a file."""
    with path.open("rb") as file:
        while chunk := file.read(READ_BYTES):
            yield chunk
