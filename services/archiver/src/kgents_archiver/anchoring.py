"""The head of the archive's audit chain → the audit trail: so the stream shows whether the chain was cut or made again.

A head that is itself an anchor is not anchored, so that a calm trail stays calm.
"""

import asyncio
from typing import Final

import structlog

from kgents_archiver.chain import Link
from kgents_archiver.config import Config
from kgents_archiver.store.database import ArchiveError, Database
from kgents_archiver.store.trail import head
from kgents_shared.bus.audit import record_one
from kgents_shared.contract.audit import ANCHOR, DONE, AuditRecord
from kgents_shared.contract.errors import BusError
from kgents_shared.runtime.service import Context

ANCHORED_S: Final = 5.0
"""How often it is compared: what is cut off within that time is not missed by this."""

_log = structlog.get_logger(__name__)


async def anchor(context: Context[Config], config: Config) -> None:
    """Anchor every head. Never returns."""
    database = Database(config, name="kgents archiver anchors")
    try:
        while True:
            try:
                last = await head(database)
                if last is not None and not is_anchor(last.stored.subject):
                    await record_one(context.bus, anchored(last, context.common.cluster, context.common.instance))
            except (ArchiveError, BusError) as error:
                _log.warning("audit_not_anchored", error=str(error), retry_in_s=ANCHORED_S)
            await asyncio.sleep(ANCHORED_S)
    finally:
        await database.close()


def is_anchor(subject: str) -> bool:
    """Whether a record says how far the chain is."""
    return subject.endswith(f".{ANCHOR}")


def anchored(last: Link, cluster: str, instance: str) -> AuditRecord:
    """That the chain has reached a record. Sent by several archivers it is one."""
    return AuditRecord(
        text=f"The archive has chained {last.n} records.",
        cluster=cluster,
        action=ANCHOR,
        id=last.hash.hex(),
        stage=DONE,
        by=instance,
        via="service",
        target=f"record {last.n}",
        after={"n": last.n, "hash": last.hash.hex()},
    )
