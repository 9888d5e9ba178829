"""A write → its records in KGENTS_AUDIT: that it begins, confirmed before anything is written, and how it ended.

So no write is without a record. One of which only the beginning is recorded may have been done or not.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.publish import MESSAGE_ID
from kgents_shared.bus.session import ApiFault, SessionLostError
from kgents_shared.bus.word import store
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.audit import AuditRecord, ended, of_decision
from kgents_shared.contract.codec import encode
from kgents_shared.contract.errors import BusError, BusTimeoutError, ProvisionError
from kgents_shared.contract.masking import masked_message
from kgents_shared.contract.silence import Silence

WITHIN_S: Final = 10.0
"""For one record, over any number of connections. Less than the stream's duplicate window: sent again, it is one."""
RETRY_S: Final = 0.2

_UNCLEAR: Final = (BusTimeoutError, SessionLostError)
"""After these it is not known whether something was written."""

_log = get_logger(__name__)


class _Answer(msgspec.Struct):
    error: ApiFault | None = None


def new_id() -> str:
    """The id of one write."""
    return uuid4().hex


async def decide(
    bus: Bus,
    message: Silence | Acknowledgement,
    *,
    replaces_seq: int,
    before: Silence | Acknowledgement | None,
    origin: str,
    now: datetime,
) -> int:
    """Store what a person decides, with its records; returns its sequence.

    Args:
        bus: the connection.
        message: what is decided; one with `op: remove` takes it back.
        replaces_seq: the sequence of the message that it replaces; 0: there is none.
        before: that message, if it could be read.
        origin: from where it is decided.
        now: for how long a silence is kept.

    Raises:
        DecidedError: it is not stored: someone else has just decided otherwise.
        ProvisionError: it is not stored: there is no audit trail.
        BusError: it is not stored, or whether it is is not known.
    """
    async with audited(bus, of_decision(message, before, id_=new_id(), origin=origin)):
        return await store(await bus.session(), message, replaces_seq=replaces_seq, now=now)


class Result(msgspec.Struct):
    """What a write has led to."""

    after: dict[str, Any] | None = None
    """What is there now, if that was not known before."""


@asynccontextmanager
async def audited(bus: Bus, record: AuditRecord) -> AsyncIterator[Result]:
    """Record that a write begins, let the block do it, and record how it ended.

    Raises:
        ProvisionError: there is no audit trail; the block is not entered.
        BusError: the record is not stored; the block is not entered.
    """
    await record_one(bus, record)
    result = Result()
    try:
        yield result
    except _UNCLEAR:
        raise
    except Exception as error:
        await _conclude(bus, ended(record, after=result.after, why=str(error) or type(error).__name__))
        raise
    await _conclude(bus, ended(record, after=result.after))


async def record_one(bus: Bus, record: AuditRecord) -> None:
    """Store one record.

    Raises:
        ProvisionError: there is no audit trail.
        BusError: it is not stored, or whether it is is not known.
    """
    payload = masked_message(encode(record))
    unchanged = "; nothing was changed" if record.stage == "begun" else ""
    headers = {MESSAGE_ID: f"{record.id}.{record.stage}"}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WITHIN_S
    while True:
        try:
            session = await bus.session(timeout_s=max(RETRY_S, deadline - loop.time()))
            answer = (await session.request(record.subject, payload, headers=headers)).data
            break
        except _UNCLEAR as error:
            if loop.time() > deadline:
                raise BusTimeoutError(f"the audit trail does not answer: {error}{unchanged}") from error
            await asyncio.sleep(RETRY_S)
        except BusError as error:
            raise ProvisionError(
                f"expected the stream KGENTS_AUDIT to take a record, found: {error}{unchanged}; try: kgents provision"
            ) from error
    if (fault := msgspec.json.decode(answer, type=_Answer).error) is not None:
        raise BusError(f"KGENTS_AUDIT refuses a record: {fault.description}{unchanged}")


async def _conclude(bus: Bus, record: AuditRecord) -> None:
    """Record how a write ended. It has, whether or not that can be recorded."""
    try:
        await record_one(bus, record)
    except BusError as error:
        _log.error("audit_outcome_not_recorded", action=record.action, id=record.id, stage=record.stage, why=str(error))
