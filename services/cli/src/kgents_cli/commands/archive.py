"""`kgents archive`: the archive's tables, how far each stream is stored, what is missing, what it takes of disk."""

import asyncio
from typing import Any

import click
import msgspec

from kgents_archiver.store import migrate as migrations
from kgents_archiver.store.database import Database, required
from kgents_archiver.store.migrate import Migration
from kgents_archiver.store.space import used_bytes
from kgents_archiver.store.status import StreamStatus, stream_statuses
from kgents_cli import forgetting, parquet
from kgents_cli.archiving import settings
from kgents_cli.auditing.recording import recorded, written
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import NEUTRAL, OK, WARNING, WRONG, note, say, say_record
from kgents_cli.table import table
from kgents_cli.units import size
from kgents_shared.contract.errors import ConfigError
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.moment import local_time, span

_HEADING = ("STREAM", "STORED UNTIL", "BEHIND", "MESSAGES", "SIZE", "EXPECTED", "KEPT SINCE", "MISSING")


@click.group("archive")
def command() -> None:
    """See the archive in PostgreSQL, bring its tables up to date, and remove from it what is to be forgotten.

    Where the section `archiver` names a PostgreSQL, `--at` answers for any moment that the archive keeps.

    \b
    Examples:
      kgents archive migrate --config kgents.yaml
      kgents archive status --config kgents.yaml
    """  # noqa: D301


command.add_command(forgetting.command)
command.add_command(parquet.command)


@command.command("migrate")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@target_options
def migrate(dry_run: bool, target: Target) -> None:
    """Bring the tables up to date; what is applied already is not touched.

    Each change is a transaction of its own. Any number of these commands and services may run at once.

    \b
    Examples:
      kgents archive migrate --config kgents.yaml --dry-run
      kgents archive migrate --config kgents.yaml
    """  # noqa: D301
    asyncio.run(_migrate(target, dry_run=dry_run))


async def _migrate(target: Target, *, dry_run: bool) -> None:
    database = Database(required(settings(target)), name="kgents archive migrate")
    try:
        if dry_run:
            found = await migrations.schema(database)
            if faults := found.faults():
                raise ConfigError(faults)
            changes, word = list(found.pending), "would apply"
        else:
            changes, word = await _applied(target, database), "applied"
    finally:
        await database.close()
    for each in changes:
        say(f"{OK} {word} {each.version} {each.name}")
    if not changes:
        say(f"{NEUTRAL} the tables are up to date")


async def _applied(target: Target, database: Database) -> list[Migration]:
    found = await migrations.schema(database)
    if not found.pending or found.faults():
        return await migrations.migrate(database)
    before = {"version": found.applied[-1].version if found.applied else 0}
    after = {"version": found.pending[-1].version}
    common = target.load()
    async with recorded(common, written(common.cluster, "archive-migrate", "archive", before=before, after=after)):
        return await migrations.migrate(database)


@command.command("status")
@output_option("text", "json")
@target_options
def status(output: str, target: Target) -> int:
    """Show how far each stream is stored, what is missing, and what it takes of disk.

    The exit code is 1 if the tables are not those of this version. Messages are an estimate of PostgreSQL, and the
    expected size one of what the days that are kept will take.

    \b
    Examples:
      kgents archive status --config kgents.yaml
      kgents archive status -o json | jq '.streams[] | {stream, read_until}'
    """  # noqa: D301
    return asyncio.run(_status(target, as_json=output == "json"))


async def _status(target: Target, *, as_json: bool) -> int:
    config = required(settings(target))
    database = Database(config, name="kgents archive status")
    try:
        found = await migrations.schema(database)
        is_ready = not found.pending and not found.faults()
        streams = await stream_statuses(database, config) if is_ready else []
        used = await used_bytes(database) if is_ready else None
    finally:
        await database.close()
    if as_json:
        record: dict[str, Any] = {
            "server": config.address, "database": config.database, "applied": found.applied,
            "pending": [each.version for each in found.pending], "faults": found.faults(), "streams": streams,
            "used_bytes": used, "max_bytes": config.max_bytes,
        }  # fmt: skip
        say_record(msgspec.json.encode(record))
        return 0 if is_ready else 1
    for fault in found.faults():
        say(f"{WRONG} {fault}")
    if found.pending:
        say(f"{WRONG} {config.database} at {config.address}: tables are missing; try: {migrations.COMMAND}")
    elif is_ready:
        say(f"{OK} {config.database} at {config.address}: tables of version {found.applied[-1].version}")
    if is_ready and not streams:
        say(f"{WARNING} nothing is stored yet; try: kgents run archiver")
    if streams and used is not None:
        for line in table(_HEADING, map(_row, streams)):
            say(line)
        bound = f"at most {size(config.max_bytes)}" if config.max_bytes else "without a bound (`archiver.max_bytes`)"
        note(f"all tables take {size(used)} of disk, {bound}")
    return 0 if is_ready else 1


def _row(each: StreamStatus) -> tuple[str, ...]:
    behind_s = (SystemClock().now() - each.read_until).total_seconds()
    missing = f"{each.missing:,}" if each.missing else "none"
    since = str(each.kept_since or local_time(each.archived_since))
    expected = size(each.expected_bytes) if each.expected_bytes is not None else "not known yet"
    until = local_time(each.read_until)
    return each.stream, until, span(behind_s), f"{each.messages:,}", size(each.disk_bytes), expected, since, missing
