"""What the archive takes of disk → the heartbeat; beyond the bound, days are dropped before their time."""

import asyncio
from typing import Final

import structlog

from kgents_archiver.config import Config
from kgents_archiver.store.database import ArchiveError, Database
from kgents_archiver.store.space import drop_largest, used_bytes
from kgents_archiver.store.status import stream_statuses
from kgents_shared.contract.meta import Storage
from kgents_shared.runtime.service import Context

MEASURED_S: Final = 60.0
"""How often it is measured: what is stored in a minute must fit between the bound and a full disk."""

_log = structlog.get_logger(__name__)


async def keep_within(context: Context[Config], config: Config) -> None:
    """Measure, and drop what is too much. Never returns; several archivers may do this at once."""
    database = Database(config, name="kgents archiver, space")
    try:
        while True:
            try:
                storage = await measured(database, config)
                context.status.storage = storage
                context.status.note(_fault(storage))
            except ArchiveError as error:
                _log.warning("archive_not_measured", error=str(error), retry_in_s=MEASURED_S)
            await asyncio.sleep(MEASURED_S)
    finally:
        await database.close()


async def measured(database: Database, config: Config) -> Storage:
    """What it takes, once what is beyond the bound is dropped as far as that can be.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    used = await used_bytes(database)
    while config.max_bytes is not None and used > config.max_bytes:
        if (dropped := await drop_largest(database)) is None:
            break
        _log.warning("archive_day_dropped_for_its_size", table=dropped.table, day=str(dropped.day), used_bytes=used)
        used = await used_bytes(database)
    streams = await stream_statuses(database, config)
    known = [each.expected_bytes for each in streams if each.expected_bytes is not None]
    rest = used - sum(each.disk_bytes for each in streams)  # what is not made of days: names, the audit trail
    expected = rest + sum(known) if streams and len(known) == len(streams) else None
    return Storage(used, expected, config.max_bytes)


def _fault(storage: Storage) -> str:
    if storage.max_bytes is None or storage.used_bytes <= storage.max_bytes:
        return ""
    found = f"expected at most {storage.max_bytes:,} bytes on disk, found {storage.used_bytes:,}"
    return f"{found}, and no day is left to drop; try: a larger archiver.max_bytes"
