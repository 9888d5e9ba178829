"""All entities, asked in slices whether a moment that has come concerns them: `reducer.py` → here. Pure."""

from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from kgents_health_scorer.scored_entity import ScoredEntity
from kgents_shared.contract.entity import Ref

AT_ONCE: Final = 500
"""Entities that one `take` asks whether time, or what is attested, changes anything about them."""
NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Walk(msgspec.Struct):
    """All entities, asked one by one whether a moment that has come concerns them."""

    now: datetime
    rest: list[ScoredEntity]
    """Those not asked yet, the next one last."""
    source: Ref | None = None
    """The source that attests its entities, or does not any more; None: those that are due."""
    is_first: bool = False
    """Whether it concerns all of them."""

    def concerns(self, scored: ScoredEntity) -> bool:
        if self.source is None:
            return self.is_first or (scored.due is not None and scored.due <= self.now)
        if scored.entity is None or self.source.name not in scored.entity.sources:
            return False
        return scored.ref.cluster == self.source.cluster


class Walks:
    """The walks that have begun, and when the next one is due: no moment at rest asks all entities for nothing."""

    def __init__(self, entities: dict[Ref, ScoredEntity]) -> None:
        self._entities = entities
        self._walks: OrderedDict[Ref | None, Walk] = OrderedDict()  # by source, so there are few; None: by time
        self._due = NEVER  # no entity is due before, but for those that a walk by time has still to ask

    def __bool__(self) -> bool:
        """Whether one has not ended."""
        return bool(self._walks)

    def note(self, scored: ScoredEntity) -> None:
        """An entity may be due earlier than before."""
        if scored.due is not None and scored.due < self._due:
            self._due = scored.due

    def is_due(self, now: datetime) -> bool:
        """Whether time may concern an entity."""
        return self._due <= now or None in self._walks

    def begin(self, now: datetime, *, source: Ref | None = None, is_first: bool = False) -> None:
        """Ask all entities again."""
        pending = self._walks.get(None)
        if source is None and pending is not None and not is_first:
            pending.now = now  # those asked already are asked again the next time
            return
        if source is None:
            self._due = NEVER  # each notes its own when it is asked
        self._walks.pop(source, None)
        self._walks[source] = Walk(now, [*reversed(self._entities.values())], source, is_first)

    def moment(self, scored: ScoredEntity, now: datetime) -> datetime:
        """When to judge one that was touched: not before what the walks are still to ask it about."""
        return max([now, *(walk.now for walk in self._walks.values() if walk.concerns(scored))])

    def concerned(self) -> Iterator[tuple[Walk, ScoredEntity]]:
        """Those that the oldest walk concerns, of the next AT_ONCE; who takes one notes when it is due then."""
        walk = next(iter(self._walks.values()))
        for _ in range(AT_ONCE):
            if not walk.rest:
                break
            scored = walk.rest.pop()
            if self._entities.get(scored.ref) is not scored:
                continue
            if walk.concerns(scored):
                yield walk, scored
            else:
                self.note(scored)
        if not walk.rest and self._walks.get(walk.source) is walk:
            del self._walks[walk.source]
