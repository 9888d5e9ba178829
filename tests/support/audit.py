"""The audit trail of a test's server."""

from typing import Any

from kgents_shared.bus.audit import new_id
from kgents_shared.bus.client import Bus
from kgents_shared.contract.audit import BEGUN, AuditRecord, Write, Writes
from kgents_shared.contract.codec import AUDIT
from support import streams


def make_record(target: str = "backup x", **fields: Any) -> AuditRecord:
    """That a write begins."""
    found = {"text": "t", "cluster": "test", "action": "restore", "by": "ada", "via": "cli", "target": target}
    return AuditRecord(**{**found, "id": new_id(), "stage": BEGUN, **fields})


async def records(bus: Bus) -> list[AuditRecord]:
    """Every record, in order."""
    return [AUDIT.decode(each.payload, subject=each.subject) for each in await streams.log(bus, "KGENTS_AUDIT")]


async def writes(bus: Bus) -> list[Write]:
    """Every write."""
    found = Writes()
    for each in await records(bus):
        found.take(each)
    return list(found)


async def trail(bus: Bus, target: str = "") -> list[tuple[str, str, str, str, str | None]]:
    """Of every write, or of those of a target: the action, where it was decided, by whom, of what, and how it ended."""
    return [
        (each.record.action, each.record.via, each.record.by, each.record.target, each.outcome)
        for each in await writes(bus)
        if target in each.record.target
    ]


async def actions(bus: Bus) -> list[tuple[str, str | None]]:
    """The action of every write, and how it ended."""
    return [(each.record.action, each.outcome) for each in await writes(bus)]
