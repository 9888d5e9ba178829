"""KGENTS_PULSE → the last pulse of each entity."""

from kgents_cli.query import Query
from kgents_cli.snapshot import decoded, now
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import PULSE
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import Pulse


async def last_pulses(bus: Bus, query: Query) -> dict[Ref, Pulse]:
    """The newest pulse of each entity that the query names, of whichever source.

    Raises:
        BusTimeoutError: they could not be read in time.
    """
    selection = query.selection
    payloads = await now(bus, "pulse", selection.filters("pulse"))
    test = selection.subject_test("pulse")
    found: dict[Ref, Pulse] = {}
    for pulse in decoded(PULSE, {subject: payload for subject, payload in payloads.items() if test(subject)}).values():
        other = found.get(pulse.ref)
        if other is None or other.timestamp < pulse.timestamp:
            found[pulse.ref] = pulse
    return found
