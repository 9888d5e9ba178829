"""What the operator has done → the audit trail, afterwards: databases are looked after while NATS is away, too.

A person asked for it in Kubernetes, whose own audit log names them; here it stands beside what was done through us.
What waits for NATS is kept in a ConfigMap, so that whichever instance works next stores it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import structlog
from msgspec import Struct

from kgents_operator.desired.owner import Owner, digest
from kgents_shared.contract.audit import DONE, OPERATE, AuditRecord
from kgents_shared.contract.errors import BusError
from kgents_shared.kubernetes.error import ApiError
from kgents_shared.runtime.clock import Clock

Json = dict[str, Any]
Record = Callable[[AuditRecord], Awaitable[None]]
"""Stores one record of the audit trail; BusError: it is not stored."""

KEPT: Final = 1000
"""So many records wait for NATS at most; beyond these the oldest are lost, which the log says."""
AGAIN_S: Final = 5.0
VIA: Final = "service"

_log = structlog.get_logger(__name__)


class Drawer(Protocol):
    """Where records are that wait.

    Both may raise ApiError and TimeoutError.
    """

    async def records(self) -> list[AuditRecord]:
        """Those that were kept."""

    async def keep(self, records: list[AuditRecord]) -> None:
        """Keep these, in place of those before."""


class Trail(Struct, frozen=True):
    """The audit trail, and who writes to it."""

    record: Record
    cluster: str
    instance: str


class Journal:
    """Records in the order in which it was done, each until it is stored."""

    def __init__(self, trail: Trail, drawer: Drawer, clock: Clock) -> None:
        self._trail = trail
        self._drawer = drawer
        self._kept: list[AuditRecord] | None = None  # None: what an earlier instance has kept was not read yet
        self._clock = clock
        self._waiting = deque[AuditRecord]()
        self._news = asyncio.Event()

    def note(self, owner: Owner, done: str, *, before: Json | None = None, after: Json | None = None) -> None:
        """Something was done for a resource. What is noted again after a restart is one record."""
        target = f"{owner.kind} {owner.namespace}/{owner.name}"
        record = AuditRecord(
            text=f"{target}: {done}",
            cluster=self._trail.cluster,
            action=OPERATE,
            id=digest([owner.uid, done, before, after]),
            stage=DONE,
            by=self._trail.instance,
            via=VIA,
            target=target,
            before=before,
            after=after,
        )
        while len(self._waiting) >= KEPT:
            _log.error("audit_record_lost", text=self._waiting.popleft().text)
        self._waiting.append(record)
        self._news.set()

    async def run(self) -> None:
        """Store what was noted, first what an earlier instance has kept. Never returns."""
        await self._keep()
        while True:
            while self._waiting:
                record = self._waiting[0]
                try:
                    await self._trail.record(record)
                except BusError as error:
                    _log.warning("audit_record_waits", waiting=len(self._waiting), error=str(error))
                    await self._keep()
                    await self._clock.sleep(AGAIN_S)
                    continue
                if self._waiting and self._waiting[0] is record:  # else it was given up meanwhile
                    self._waiting.popleft()
            if self._kept != []:
                await self._keep()
            if not self._waiting:
                await self._news.wait()
                self._news.clear()

    def _is_ours(self, record: AuditRecord) -> bool:
        """Whether an operator of this cluster has written it: anyone who may write ConfigMaps there could say more."""
        return (record.action, record.cluster, record.via) == (OPERATE, self._trail.cluster, VIA)

    async def _keep(self) -> None:
        """Let the drawer hold what waits. What it held before this instance waits first, and is never overwritten."""
        try:
            if self._kept is None:
                self._kept = await self._drawer.records()
                self._waiting.extendleft(each for each in reversed(self._kept) if self._is_ours(each))
            if (waiting := list(self._waiting)) != self._kept:
                await self._drawer.keep(waiting)
                self._kept = waiting
        except (ApiError, TimeoutError) as error:
            _log.warning("audit_records_not_kept", waiting=len(self._waiting), error=str(error) or "no answer in time")
