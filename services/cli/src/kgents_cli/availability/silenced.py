"""The audit trail → the silences that there were, also those that are over: their stream forgets each at its end."""

from collections.abc import Iterable

import msgspec

from kgents_cli.auditing.trail import BEGINNING, Entry, Stored, entries, stored
from kgents_shared.bus.client import Bus
from kgents_shared.contract.audit import DECIDED, DONE, FAILED
from kgents_shared.contract.silence import Silence

SILENCE, UNSILENCE = DECIDED["silence"]


async def silenced(bus: Bus, cluster: str | None) -> list[Silence]:
    """Each silence with the end that it had: what was ended early, or replaced, ends then.

    Raises:
        BusError: the server refused, or did not answer.
    """
    records: list[Stored] = []
    for action in (SILENCE, UNSILENCE):  # each for itself: a reader may read these, and nothing else of the trail
        records += await stored(bus, BEGINNING, cluster, actions=(action,))
    return of_trail(entries(sorted(records, key=lambda each: each.at)))


def of_trail(writes: Iterable[Entry]) -> list[Silence]:
    """The silences of some writes, the oldest first."""
    found: list[Silence] = []
    for each in writes:
        record, outcome = each.write.record, each.write.outcome
        content = record.after if record.action == SILENCE else record.before
        if content is None:
            continue
        try:
            silence = msgspec.convert(content, Silence)
        except msgspec.ValidationError:  # of a later version
            continue
        if record.action == SILENCE and outcome == DONE:
            found = [*(_ended(one, silence, each) for one in found), silence]
        elif record.action == UNSILENCE and outcome != FAILED:
            found = [_ended(one, silence, each) for one in found]
    return found


def _ended(silence: Silence, gone: Silence, by: Entry) -> Silence:
    is_it = (silence.cluster, silence.id) == (gone.cluster, gone.id)
    return msgspec.structs.replace(silence, ends_at=min(silence.ends_at, by.at)) if is_it else silence
