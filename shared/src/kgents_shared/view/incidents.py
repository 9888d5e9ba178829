"""KGENTS_INCIDENT as it was at a time: the incidents then, and what is not known of them."""

from datetime import datetime
from typing import Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import INCIDENT
from kgents_shared.contract.errors import MalformedMessageError, UnknownTypeError
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.subjects import pattern
from kgents_shared.view.fold import is_gone
from kgents_shared.view.signal_at import Known, read_at

SIGNAL: Final = "incident"


class IncidentsAt(msgspec.Struct, frozen=True):
    """The incidents of one time."""

    incidents: list[Incident]
    known: Known
    """What is not known of them; an incident that cannot be read is a remark."""


async def incidents_at(bus: Bus, time: datetime) -> IncidentsAt:
    """Every incident that was kept at a time, as it was then.

    Raises:
        BusError: the server refused, or did not answer.
    """
    payloads: dict[str, bytes] = {}
    known = await read_at(bus, SIGNAL, [pattern(SIGNAL)], time, payloads.__setitem__, takes=lambda _: True)
    found: list[Incident] = []
    unread = 0
    for subject, payload in payloads.items():
        if not payload or is_gone(payload):
            continue
        try:
            found.append(INCIDENT.decode(payload, subject=subject))
        except (MalformedMessageError, UnknownTypeError):
            unread += 1
    if unread:
        remark = f"incident: {unread:,} {'message' if unread == 1 else 'messages'} of that time cannot be read"
        known = msgspec.structs.replace(known, remarks=[*known.remarks, remark])
    return IncidentsAt(found, known)
