"""A recording → replays: its windows in another order, each as a minute. Seeded by their number.

A day has one episode of each kind, in any order, between times in which all is well: windows that follow one another in
the recording, of the load of the next episode. No episode is part of two days.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import structs

from accuracy.injected import KINDS
from accuracy.recording import Recording, Window
from accuracy.replay import MINUTE, Fault, Moment, Replay
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds

BEGIN: Final = datetime(2026, 1, 5, tzinfo=UTC)
LEARNS: Final = 20
"""Minutes before the first episode, in which what is usual is learnt."""
BETWEEN: Final = (12, 25)
"""Minutes between two episodes."""


def days(recording: Recording) -> Iterator[Replay]:
    """All of them, until each episode was part of one."""
    kinds_of = Counter(_kind(each) for each in recording.episodes.values())
    for day in range(max(kinds_of.values(), default=0)):
        yield replay(recording, day)


def replay(recording: Recording, day: int) -> Replay:
    """One day, with the episodes of this number of each kind of which there are so many."""
    of_kind = [[each for each in recording.episodes.values() if _kind(each) == kind] for kind in KINDS]
    chosen = [each[day] for each in of_kind if day < len(each)]
    rng = random.Random(1_000 * recording.seed + day)
    rng.shuffle(chosen)
    return _Day(recording, rng).replay(chosen)


class _Day:
    def __init__(self, recording: Recording, rng: random.Random) -> None:
        self._rng = rng
        self._windows = recording.windows
        self._at_rest = {each.ref: each for each in recording.at_rest}
        self._moments: list[Moment] = []
        self._uids: dict[Ref, str] = {ref: each.uid for ref, each in self._at_rest.items()}

    def replay(self, chosen: Sequence[list[Window]]) -> Replay:
        faults: list[Fault] = []
        look_alikes: list[Fault] = []
        self._rest(LEARNS, chosen[0][0].load)
        for episode in chosen:
            self._rest(self._rng.randint(*BETWEEN), episode[0].load)
            injected = episode[0].injected
            if injected is None:
                raise ValueError(f"expected an episode, found windows without one: {episode[0].episode}")
            what = f"{injected} at {episode[0].load:g} requests a second"
            found = Fault(BEGIN + len(self._moments) * MINUTE, injected.kind, injected.service, what)
            (faults if injected.is_fault else look_alikes).append(found)
            self._episode(episode, is_replaced=injected.act == "replace")
        self._rest(BETWEEN[0], chosen[-1][0].load)
        return Replay([*self._at_rest.values()], self._moments, faults, look_alikes, is_complete=True)

    def _rest(self, minutes: int, load: float) -> None:
        well = [each for each in self._windows if each.injected is None and each.load == load]
        begin = self._rng.randrange(len(well))
        for place in range(minutes):
            self._add(well[(begin + place) % len(well)], ())

    def _episode(self, windows: Sequence[Window], *, is_replaced: bool) -> None:
        changed: set[Ref] = set()
        for each in windows:
            entities, _ = each.decoded()
            changed |= {entity.ref for entity in entities}
            if is_replaced:
                self._uids |= {entity.ref: entity.uid for entity in entities if entity.ref.kind == kinds.CONTAINER}
            self._add(each, entities)
        at_rest = [self._at_rest[ref] for ref in sorted(changed) if ref in self._at_rest]
        last = self._moments[-1]
        self._moments[-1] = structs.replace(last, entities=[*last.entities, *self._now(at_rest, last.at)])

    def _add(self, window: Window, entities: Sequence[TopologyEntity]) -> None:
        at = BEGIN + len(self._moments) * MINUTE
        _, pulses = window.decoded()
        self._moments.append(Moment(at, [*_last(pulses, at)], [*self._now(entities, at)]))

    def _now(self, entities: Sequence[TopologyEntity], at: datetime) -> Iterator[TopologyEntity]:
        """As of now, and of the incarnation that there is."""
        for each in entities:
            yield structs.replace(each, at=at, uid=self._uids.get(each.ref, each.uid))


def _kind(episode: Sequence[Window]) -> str:
    return episode[0].injected.kind if episode[0].injected is not None else ""


def _last(pulses: Sequence[Pulse], at: datetime) -> Iterator[Pulse]:
    """Of each entity and source the last one in a window, as that of a minute."""
    last = {(each.ref, each.source, type(each)): each for each in pulses}
    for each in last.values():
        yield structs.replace(each, timestamp=at, interval_s=MINUTE.total_seconds(), uid="", read_at={})
