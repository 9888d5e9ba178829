"""What is known, whatever source it comes from: entities now, incidents, events; and what the screen has yet to show.

A source writes it, the screens read it, in one event loop. All of it is bounded.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

import msgspec

from kgents_cli.ui.item import Item, item_after
from kgents_shared.contract.event import Event
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.silence import Silence
from kgents_shared.view.entity import key_of
from kgents_shared.view.fold import EntityChange

ITEMS_MAX: Final = 200_000
"""Entities that are held: some 150 MB. More are counted, not shown."""
EVENTS_MAX: Final = 5_000
"""The newest ones; `kgents events` has all."""


class Connection(msgspec.Struct, frozen=True):
    """Whether what is held is what there is."""

    is_live: bool
    text: str
    """`live`, or what is waited for."""
    since_s: float = 0.0
    """Of the monotonic clock: since when it is not live."""


READING: Final = Connection(False, "reading")
LIVE: Final = Connection(True, "live")


class World:
    """Everything that screens show."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.pending: dict[str, Item | None] = {}
        """What the table of entities has yet to show; one entry for each, so it is no longer than `items`."""
        self.levels: Counter[str] = Counter()
        self.clusters: Counter[str] = Counter()
        self.changes = 0
        """How many there were since the beginning."""
        self.left_out = 0
        """Entities beyond ITEMS_MAX."""
        self.is_complete = False
        """Whether all entities have been read."""
        self.connection = READING
        self.faults: dict[str, str] = {}
        """What cannot be read → why."""
        self.events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self.incidents: dict[str, Incident] = {}
        self.silences: dict[str, Silence] = {}
        self.version = 0
        """Grows with every change of anything but entities."""

    def take(self, changes: Iterable[EntityChange]) -> None:
        """Entities as messages change them."""
        keyed = ((key_of(change.subject)[1], change) for change in changes)
        self.put((key, item_after(change, self.items.get(key))) for key, change in keyed)

    def put(self, items: Iterable[tuple[str, Item | None]]) -> None:
        """Entities that are new or differ; None: gone."""
        for key, item in items:
            old = self.items.pop(key, None)
            if old is not None:
                self.levels[old.level] -= 1
                self.clusters[old.ref.cluster] -= 1
            elif item is not None and len(self.items) >= ITEMS_MAX:
                self.left_out += 1
                continue
            if item is not None:
                self.items[key] = item
                self.levels[item.level] += 1
                self.clusters[item.ref.cluster] += 1
            self.pending[key] = item
            self.changes += 1

    def reread(self, items: Iterable[tuple[str, Item]]) -> None:
        """All entities that there are: what is held beside them is gone."""
        found = dict(items)
        self.put((key, None) for key in [each for each in self.items if each not in found])
        self.put((key, item) for key, item in found.items() if self.items.get(key) != item)

    def take_pending(self) -> dict[str, Item | None]:
        """What is yet to be shown; it counts as shown now."""
        found, self.pending = self.pending, {}
        return found

    def named_clusters(self) -> list[str]:
        """Those that have entities."""
        return sorted(name for name, count in self.clusters.items() if count > 0)

    def touch(self) -> None:
        """Something but entities has changed."""
        self.version += 1

    def fault(self, what: str, why: str) -> None:
        """Something cannot be read; without a reason, it can again."""
        if self.faults.get(what, "") == why:
            return
        if why:
            self.faults[what] = why
        else:
            del self.faults[what]
        self.touch()
