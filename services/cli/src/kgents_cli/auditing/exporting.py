"""`kgents audit export`: the chain of the archive → a file that can be verified without anything else."""

import asyncio
import os
from pathlib import Path

import click

from kgents_archiver.chain import Head, Link
from kgents_archiver.store.database import Database, required
from kgents_archiver.store.trail import links
from kgents_cli.archiving import settings
from kgents_cli.auditing.exported import end_of, line_of
from kgents_cli.options import Target, target_options
from kgents_cli.output import OK, note, say
from kgents_shared.contract.errors import KgentsError

MODE = 0o640


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@target_options
def export(file: Path, target: Target) -> None:
    """Write the audit trail of the archive to FILE: a JSON object a line, each with the hash of the one before.

    FILE must be new. `kgents audit verify FILE` needs nothing but it; keep the head that is printed somewhere else.

    \b
    Examples:
      kgents audit export audit.jsonl --config kgents.yaml
      jq -r 'select(.body) | [.at, (.body | fromjson | .by, .action, .target)] | @tsv' audit.jsonl
    """  # noqa: D301
    last = asyncio.run(_export(target, file))
    if last is None:
        note("the archive has no record yet")
        return
    say(f"{OK} {file}: {last.n} records")
    note(f"keep its head somewhere else: {Head(last.n, last.hash.hex())}")


async def _export(target: Target, file: Path) -> Link | None:
    database, last = Database(required(settings(target)), name="kgents audit export"), None
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb") as opened:
            async for last in links(database):
                opened.write(line_of(last) + b"\n")
            opened.write(end_of(last) + b"\n")
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        raise KgentsError(f"expected to make {file}, found: {error.strerror}; try: another name") from error
    finally:
        await database.close()
    return last
