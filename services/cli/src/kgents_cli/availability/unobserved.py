"""What sources did not attest, over time → when an entity was not observed. Pure.

A source that is silent is one message about the source, and the messages of its entities stay as they are
(`contract.topology`); so a level that nothing changed is not yet one that was observed.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec

from kgents_cli.availability.spans import Window, microseconds, union
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread

_EVER: Final = 2**62


class SourceHistory(msgspec.Struct, frozen=True):
    """The versions of the message of one source."""

    source: Ref
    versions: Sequence[tuple[int, TopologyEntity | None]]
    """Oldest first; None: it was removed."""
    known_from: int
    """Before that, its messages are forgotten."""

    def windows(self, ref: Ref) -> list[Window]:
        """When this source did not attest an entity, or when that is not known."""
        found = [Window(-_EVER, self.known_from)] if self.known_from > -_EVER else []
        for place, (at, message) in enumerate(self.versions):
            until = self.versions[place + 1][0] if place + 1 < len(self.versions) else _EVER
            scopes = message.unread if message is not None and not message.is_removal else ()
            found += [Window(_since(each, at), until) for each in scopes if each.covers(ref, each.part)]
        return union(found)


class Unobserved:
    """What was not observed of the entities of all sources."""

    def __init__(self, histories: Iterable[SourceHistory]) -> None:
        self._histories: dict[str, list[SourceHistory]] = {}
        for each in histories:
            self._histories.setdefault(each.source.cluster, []).append(each)

    def of(self, ref: Ref, sources: Collection[str] | None) -> list[Window]:
        """When an entity was not observed; `sources`: those that report it, None if that is no longer known."""
        own = (each for each in self._histories.get(ref.cluster, ()) if sources is None or each.source.name in sources)
        return union(window for each in own for window in each.windows(ref))


def _since(scope: Unread, at: int) -> int:
    return min(microseconds(scope.since), at) if scope.since is not None else at
