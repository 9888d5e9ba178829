"""Every entity as it was when NATS answered last: while it cannot be read, nothing of it is attested.

For questions alone. Clients of streams get one event that says so, and not every entity once more.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

from kgents_gateway.mark import Mark
from kgents_gateway.questions.world import Known, Now
from kgents_gateway.referrers import Referring
from kgents_shared.contract.attestation import BUILDER, Scopes
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.unread import Unread
from kgents_shared.view.entity import EntityView

T = TypeVar("T")


class Outdated:
    """What was read, as it is to be taken now."""

    def __init__(self, current: Now, since: datetime, why: str) -> None:
        self._current = current
        self._unread = (Unread(since=since, reason=why),)
        self._silent: dict[str, Scopes] = {}  # by cluster

    @property
    def fold(self) -> Known:
        """The entities."""
        return _OutdatedKnown(self._current.fold, self)

    @property
    def is_complete(self) -> bool:
        """Whether everything that the streams hold had been read."""
        return self._current.is_complete

    @property
    def mark(self) -> Mark | None:
        """How far the streams are read."""
        return self._current.mark

    async def until(self, claim: Callable[[], T | None]) -> T:
        """Wait until a claim about this is true."""
        return await self._current.until(claim)

    def view(self, key: str) -> EntityView | None:
        """The entity with this key, if it existed."""
        return self.taken(self._current.view(key))

    async def referring(self) -> Referring:
        """Who names whom as a peer."""
        return await self._current.referring()

    def shown(self, view: EntityView | None) -> EntityView | None:
        """All of it may be seen here."""
        return self._current.shown(view)

    def shown_event(self, event: Event, payload: bytes) -> bytes | None:
        """All of it may be seen here."""
        return self._current.shown_event(event, payload)

    def shown_removal(self, message: bytes | None) -> bytes | None:
        """All of it may be seen here."""
        return self._current.shown_removal(message)

    def clusters(self) -> list[EntityView]:
        """The health of each cluster as a whole."""
        return [view for each in self._current.clusters() if (view := self.taken(each)) is not None]

    def since(self, mark: Mark) -> set[str] | None:
        """The keys of the entities that changed after a mark."""
        return self._current.since(mark)

    def taken(self, view: EntityView | None) -> EntityView | None:
        """An entity whose writers have not been heard."""
        if view is None:
            return None
        cluster = view.ref.cluster
        silent = self._silent.setdefault(cluster, {(cluster, BUILDER): self._unread})
        return view.silenced(silent)


class _OutdatedKnown:
    def __init__(self, known: Known, outdated: Outdated) -> None:
        self._known = known
        self._outdated = outdated

    def __len__(self) -> int:
        return len(self._known)

    def known_keys(self) -> list[str]:
        return self._known.known_keys()

    def view(self, key: str) -> EntityView | None:
        return self._outdated.taken(self._known.view(key))

    def get(self, ref: Ref) -> EntityView | None:
        return self._outdated.taken(self._known.get(ref))

    def entities(self) -> Iterator[EntityView]:
        return (view for each in self._known.entities() if (view := self._outdated.taken(each)) is not None)
