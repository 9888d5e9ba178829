"""All entities, asked in slices whether a moment that has come concerns them: `reducer.py` → here. Pure."""

from datetime import datetime
from typing import Final

import msgspec

from kgents_health_scorer.scored_entity import ScoredEntity
from kgents_shared.contract.entity import Ref

AT_ONCE: Final = 500
"""Entities that one `take` asks whether time, or what is attested, changes anything about them."""


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
