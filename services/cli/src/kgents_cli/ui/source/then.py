"""A past state → entities as rows show them, and those whose state is not remembered. No I/O, no clock."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from kgents_cli.ui.item import Item, forgotten, item_of
from kgents_shared.view.entity import EntityView, Rows, key_of
from kgents_shared.view.fold import Fold
from kgents_shared.view.past import Past

HEALTH = "its health is not remembered"


class Then(msgspec.Struct, frozen=True):
    """How it was."""

    at: datetime
    items: dict[str, Item]
    fold: Fold
    unknown: Sequence[str] = ()
    """What is not known of that time, in sentences."""

    @property
    def not_remembered(self) -> int:
        """Entities that were there in a state that is not known."""
        return sum(not each.is_remembered for each in self.items.values())

    def views(self, kinds: Sequence[str]) -> list[EntityView]:
        """The entities of some kinds."""
        return [view for view in self.fold.entities() if view.ref.kind in kinds]


def then_of(past: Past) -> Then:
    """A past state as screens show it.

    What changed too often since has nothing in the streams from before: it is no entity that did not exist.
    """
    items = {view.key: item_of(view) for view in past.fold.entities()}
    for subject in past.forgotten.get("topology", ()):
        _, key, _ = key_of(subject)
        if key not in items:
            items[key] = forgotten(key, EntityView(key, Rows()).ref)
    for subject in past.forgotten.get("health", ()):
        _, key, _ = key_of(subject)
        if (item := items.get(key)) is not None and item.is_remembered:
            items[key] = msgspec.structs.replace(item, level="unknown", score=None, why=HEALTH, is_remembered=False)
    unknown = [f"{signal}: nothing is known before {past.begins[signal]:%Y-%m-%d %H:%M:%S}" for signal in past.unknown]
    return Then(past.time, items, past.fold, [*unknown, *past.remarks])
