"""Records that no audit trail could take → a file in the directory of the hub → the trail, once there is one.

A hub is set up before its NATS runs, so what made it can be recorded only afterwards.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from kgents_cli.output import WARNING, note
from kgents_shared.bus.audit import record_one
from kgents_shared.bus.client import Bus
from kgents_shared.contract.audit import AuditRecord, ended
from kgents_shared.contract.codec import AUDIT, encode
from kgents_shared.contract.masking import masked_message
from kgents_shared.runtime.clock import SystemClock

FILE: Final = "unrecorded.jsonl"
MODE: Final = 0o600


@contextmanager
def kept(hub: Path | None, record: AuditRecord, why: str) -> Iterator[None]:
    """Say that a write is not in the audit trail, and why; in the directory of a hub it is kept until it can be.

    Raises:
        OSError: it is done, and cannot be kept.
    """
    if hub is None:
        note(f"{WARNING} not in the audit trail: {why}")
        yield
        return
    try:
        yield
    except Exception as error:
        _keep(hub, ended(record, why=str(error) or type(error).__name__))
        raise
    _keep(hub, ended(record))
    note(f"{WARNING} not in the audit trail yet: {why}; the next command for this hub that finds one records it")


async def record_kept(bus: Bus, hub: Path) -> None:
    """Record what was kept, oldest first; of a record that is sent twice the trail takes one.

    Raises:
        BusError: not all is recorded; it stays kept.
    """
    file = hub / FILE
    if file.exists():
        for line in file.read_bytes().splitlines():
            await record_one(bus, AUDIT.decode(line))
        file.unlink()


def _keep(hub: Path, record: AuditRecord) -> None:
    done_at = f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ}"  # the trail has another time of it
    late = replace(record, after={**(record.after or {}), "done_at": done_at})
    descriptor = os.open(hub / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, MODE)
    with os.fdopen(descriptor, "ab") as file:
        file.write(masked_message(encode(late)) + b"\n")
