"""What the operator has done → the audit trail, afterwards: databases are looked after while NATS is away, too.

A person asked for it in Kubernetes, whose own audit log names them; here it stands beside what was done through us.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from kgents_operator.desired.owner import Owner, digest
from kgents_shared.contract.audit import DONE, OPERATE, AuditRecord
from kgents_shared.contract.errors import BusError
from kgents_shared.runtime.clock import Clock

Json = dict[str, Any]
Record = Callable[[AuditRecord], Awaitable[None]]
"""Stores one record of the audit trail; BusError: it is not stored."""

KEPT: Final = 1000
"""So many records wait for NATS at most; beyond these the oldest are lost, which the log says."""
AGAIN_S: Final = 5.0

_log = structlog.get_logger(__name__)


class Journal:
    """Records in the order in which it was done, each until it is stored."""

    def __init__(self, record: Record, clock: Clock, cluster: str, instance: str) -> None:
        self._record = record
        self._clock = clock
        self._cluster = cluster
        self._instance = instance
        self._waiting = deque[AuditRecord]()
        self._news = asyncio.Event()

    def note(self, owner: Owner, done: str, *, before: Json | None = None, after: Json | None = None) -> None:
        """Something was done for a resource. What is noted again after a restart is one record."""
        target = f"{owner.kind} {owner.namespace}/{owner.name}"
        record = AuditRecord(
            text=f"{target}: {done}",
            cluster=self._cluster,
            action=OPERATE,
            id=digest([owner.uid, done, before, after]),
            stage=DONE,
            by=self._instance,
            via="service",
            target=target,
            before=before,
            after=after,
        )
        if len(self._waiting) >= KEPT:
            _log.error("audit_record_lost", text=self._waiting.popleft().text)
        self._waiting.append(record)
        self._news.set()

    async def run(self) -> None:
        """Store what was noted. Never returns."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                record = self._waiting[0]
                try:
                    await self._record(record)
                except BusError as error:
                    _log.warning("audit_record_waits", waiting=len(self._waiting), error=str(error))
                    await self._clock.sleep(AGAIN_S)
                    continue
                if self._waiting and self._waiting[0] is record:  # else it was given up meanwhile
                    self._waiting.popleft()
