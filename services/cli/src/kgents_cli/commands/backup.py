"""`kgents backup`: the streams as they are → a directory, or a storage, with a copy of each and a manifest."""

import asyncio
import hashlib
import tempfile
from contextlib import aclosing
from importlib.metadata import version
from pathlib import Path

import click

from kgents_cli import backup_files
from kgents_cli.backup_files import CopiedStream, Manifest
from kgents_cli.backup_place import place_argument, store
from kgents_cli.connection import STREAMS, connected
from kgents_cli.object_storage import Place, Storage
from kgents_cli.options import Target, target_options
from kgents_cli.output import note, say
from kgents_shared.bus.jetstream import find_stream
from kgents_shared.bus.session import Session
from kgents_shared.bus.snapshot import snapshot
from kgents_shared.contract.errors import KgentsError, NotFoundError
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.runtime.config import CommonConfig

COPIED = tuple(stream.name for signal, stream in STREAMS.items() if signal != "meta")
"""Leases and heartbeats are of their moment: restored, they would only be wrong."""


@click.command("backup")
@click.argument("place", callback=place_argument, metavar="PLACE")
@click.option("--stream", "names", multiple=True, type=click.Choice(COPIED), help="Only this stream; may be repeated.")
@target_options
def command(place: Path | Place, names: tuple[str, ...], target: Target) -> None:
    """Copy the streams into PLACE, for `kgents restore`: a new directory, or s3://BUCKET/PREFIX.

    Services go on meanwhile: the server copies one moment of each stream, with sequences and times, and checks every
    message. Each file has its SHA-256 in the manifest, which is written last. Leases and heartbeats are not copied.

    For S3-compatible storage see `backup` in docs/reference/config.md. The copy is made on this machine's disk first.

    \b
    Examples:
      kgents backup /backup/2026-11-29
      kgents backup alerts --stream KGENTS_ALERT --stream KGENTS_INCIDENT
      kgents backup s3://backups/kgents/2026-11-29
    """  # noqa: D301
    common = target.load()
    if isinstance(place, Path):
        manifest = asyncio.run(_backup(common, _made(place), names or COPIED))
    else:
        storage = Storage(place, common.backup)
        if storage.has(backup_files.MANIFEST):
            raise click.UsageError(f"expected a new place, found a backup in {place}; try: another name")
        with tempfile.TemporaryDirectory(prefix="kgents-backup-") as directory:
            manifest = asyncio.run(_backup(common, Path(directory), names or COPIED))
            store(Path(directory), manifest, storage)
    for each in manifest.streams:
        say(f"{each.stream}: {each.messages:,} messages, {-(-each.size_bytes // 1024):,} KiB")
    note(f"try: kgents restore {place} --dry-run")


def _made(directory: Path) -> Path:
    if directory.exists() and any(directory.iterdir()):
        raise click.UsageError(f"expected a new or empty directory, found files in {directory}; try: another name")
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise KgentsError(f"cannot make {directory}: {error.strerror}") from None
    return directory


async def _backup(common: CommonConfig, directory: Path, names: tuple[str, ...]) -> Manifest:
    async with connected(common) as bus:
        session = await bus.session()
        found = [name for name in names if await find_stream(session, name) is not None]
        if not found:
            raise NotFoundError("no stream of kgents is on this server; try: kgents provision")
        try:
            streams = [await _copy(session, name, directory) for name in found]
            made_by = f"kgents {version('kgents-cli')}"
            manifest = Manifest(made_at=SystemClock().now(), made_by=made_by, streams=streams)
            backup_files.write(directory, manifest)
        except OSError as error:
            raise KgentsError(f"cannot write {directory}: {error.strerror}; what it holds is no backup") from None
    return manifest


async def _copy(session: Session, name: str, directory: Path) -> CopiedStream:
    digest, size = hashlib.sha256(), 0
    file = f"{name}.tar.s2"
    async with snapshot(session, name) as copy, aclosing(copy.chunks()) as chunks:
        with (directory / file).open("xb") as out:
            async for chunk in chunks:
                out.write(chunk)
                digest.update(chunk)
                size += len(chunk)
    return CopiedStream(
        stream=name,
        file=file,
        sha256=digest.hexdigest(),
        size_bytes=size,
        config=copy.copied.config,
        state=copy.copied.state,
    )
