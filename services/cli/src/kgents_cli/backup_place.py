"""Where a backup is: a directory, or a folder of an S3-compatible storage, which is copied to a directory and back."""

from pathlib import Path

import click

from kgents_cli.backup_files import MANIFEST, Manifest, manifest_of, sha256_of
from kgents_cli.object_storage import SCHEME, Place, Storage, place_of


def place_argument(ctx: click.Context, param: click.Parameter, value: str) -> Path | Place:
    """What the argument of a command says: a directory, or s3://BUCKET/PREFIX. A callback of click's.

    Raises:
        BadParameter: it is a storage without bucket or prefix.
    """
    if not value.startswith(SCHEME):
        return Path(value)
    try:
        return place_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def store(folder: Path, manifest: Manifest, storage: Storage) -> None:
    """Copy a backup into a storage; the manifest last, so that what was interrupted is no backup."""
    for each in manifest.streams:
        storage.put(each.file, folder / each.file, each.sha256)
    path = folder / MANIFEST
    storage.put(MANIFEST, path, sha256_of(path))


def fetch(storage: Storage, folder: Path) -> None:
    """Copy a backup out of a storage; whether it is whole is for who reads it."""
    storage.get(MANIFEST, folder / MANIFEST)
    for each in manifest_of(folder).streams:
        storage.get(each.file, folder / each.file)
