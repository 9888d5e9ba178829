"""The archiver at work: each stream of versions → its rows, all of them at once; requests → what is in them."""

import asyncio
import time
from typing import Final

import structlog

from kgents_archiver.anchoring import anchor
from kgents_archiver.answering import DESCRIPTION, Asked
from kgents_archiver.config import Config
from kgents_archiver.following import RETRY_MAX_S, Following
from kgents_archiver.samples import FollowingPulses
from kgents_archiver.space import keep_within
from kgents_archiver.store import migrate
from kgents_archiver.store.database import ArchiveError, Database, required
from kgents_archiver.store.partitions import SIGNALS
from kgents_archiver.store.pulses import PULSE
from kgents_archiver.store.trail import AUDIT
from kgents_archiver.trail import FollowingTrail
from kgents_archiver.versions import FollowingVersions
from kgents_shared.contract.audit import ANCHOR
from kgents_shared.contract.streams import COPIED
from kgents_shared.contract.subjects import ARCHIVE
from kgents_shared.runtime.service import Access, Context, Service

LAG_S: Final = 5.0
"""Less is no lag: a stream that says nothing is noted every ten seconds."""

FOLLOWED: Final = (*SIGNALS, PULSE, AUDIT)

_log = structlog.get_logger(__name__)


async def run(context: Context[Config]) -> None:
    """Archive until cancelled. Any number of instances may: the first to store a message has stored it."""
    config = required(context.config)
    asked = Asked(config)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(context.answering(asked.endpoints(), DESCRIPTION).run(), name="answer")
            tasks.create_task(_archive(context, config), name="archive")
    finally:
        await asked.close()


async def _archive(context: Context[Config], config: Config) -> None:
    await _prepare(context, config)
    followings: list[Following] = []

    def report() -> None:
        _report(context, followings)

    has_copies = bool(context.common.streams.archive_copy_max_bytes)
    followings += [
        FollowingVersions(context.bus, config, signal, report, has_copies=has_copies and signal in COPIED)
        for signal in SIGNALS
    ]
    followings.append(FollowingPulses(context.bus, config, PULSE, report))
    followings.append(FollowingTrail(context.bus, config, AUDIT, report))
    for signal in FOLLOWED:
        context.reads(signal)
    async with asyncio.TaskGroup() as tasks:
        for each in followings:
            tasks.create_task(each.run(), name=f"archive {each.progress.stream}")
        tasks.create_task(anchor(context, config), name="anchor the audit chain")
        tasks.create_task(keep_within(context, config), name="keep within the bound of disk")


async def _prepare(context: Context[Config], config: Config) -> None:
    """Wait for PostgreSQL, and for tables that are those of this program."""
    database = Database(config)
    retry_s = 1.0
    try:
        while True:
            try:
                if config.migrate == "auto":
                    for each in await migrate.migrate(database):
                        _log.info("archive_migrated", version=each.version, name=each.name)
                return await migrate.require(database)
            except ArchiveError as error:
                context.status.set("degraded", str(error))
                _log.warning("archive_failed", error=str(error), retry_in_s=retry_s)
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, RETRY_MAX_S)
    finally:
        await database.close()


def _report(context: Context[Config], followings: list[Following]) -> None:
    progress = [each.progress for each in followings]
    status = context.status
    status.watermark = {each.stream: each.seq for each in progress if each.seq}
    faults = sorted({each.fault for each in progress if each.fault})
    behind_s = max(time.monotonic() - each.stored_s for each in progress) if faults else 0.0
    status.lag_s = behind_s if behind_s > LAG_S else 0.0
    if faults:
        status.set("degraded", "; ".join(faults))
    elif all(each.is_caught_up for each in progress):
        status.set("in_sync")
    else:
        status.set("syncing")


SERVICE = Service(
    name="archiver",
    config=Config,
    run=run,
    access=Access(
        (),
        reads=FOLLOWED,
        catches_up=COPIED,
        keeps_time=True,
        everywhere=True,
        answers=(f"{ARCHIVE}.>",),
        records=(ANCHOR,),
    ),
)
