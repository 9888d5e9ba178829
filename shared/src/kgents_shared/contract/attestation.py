"""Which entities are stale, by the one message of each source that is not attested in full. Pure.

Shared by all who read the topology: views, the scorer, the builder's own count. See `contract.topology`.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.vocabulary.kinds import SOURCE

Scopes = dict[tuple[str, str], Sequence[Unread]]
"""(cluster, source) → what is not attested of it."""


class Attestation(msgspec.Struct, frozen=True):
    """What is not attested of all sources."""

    unread: Scopes = {}

    def with_source(self, message: TopologyEntity | None, cluster: str, source: str) -> "Attestation":
        """This, after the next message of one source; None: it is gone. The same object if nothing differs."""
        scopes = [] if message is None or message.is_removal else message.unread
        key = (cluster, source)
        if scopes == self.unread.get(key, []):
            return self
        others = {each: unread for each, unread in self.unread.items() if each != key}
        return Attestation({**others, key: scopes} if scopes else others)

    def changed(self, other: "Attestation") -> list[tuple[str, str]]:
        """The sources of which another one says something else."""
        keys = dict.fromkeys((*self.unread, *other.unread))
        return [key for key in keys if self.unread.get(key) != other.unread.get(key)]

    def stale(self, entity: TopologyEntity) -> list[str]:
        """The sources of an entity that do not attest it."""
        if not self.unread or entity.ref.kind == SOURCE:
            return []
        return [source for source in entity.sources if self.scope(entity, source) is not None]

    def scope(self, entity: TopologyEntity, source: str) -> Unread | None:
        """The scope because of which a source does not attest an entity; None: it does."""
        scopes = self.unread.get((entity.ref.cluster, source))
        if not scopes or source in entity.expiring:
            return None
        part = entity.parts.get(source, "")
        return next((each for each in scopes if each.covers(entity.ref, part)), None)


ATTESTED: Final = Attestation()
"""Every source attests everything."""
