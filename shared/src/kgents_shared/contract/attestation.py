"""Which entities are stale, by the one message of each source that is not attested in full. Pure.

Shared by all who read the topology: views, the scorer, the builder's own count. See `contract.topology`. Readers also
judge the services that write what they read, by the age of their heartbeats (`view.writers`).
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.vocabulary.kinds import SOURCE

Scopes = dict[tuple[str, str], Sequence[Unread]]
"""(cluster, source or service) → what is not attested of it."""

BUILDER: Final = "topology-builder"
SCORER: Final = "health-scorer"
WRITERS: Final = (BUILDER, SCORER)
"""The services by whose work readers judge what these publish."""


class Attestation(msgspec.Struct, frozen=True):
    """What is not attested of all sources."""

    unread: Scopes = {}
    silent: Scopes = {}
    """What the services that write topology and health do not keep up to date."""

    @property
    def is_whole(self) -> bool:
        """Whether everything is attested."""
        return not (self.unread or self.silent)

    @property
    def keeps_topology(self) -> bool:
        """Whether everything is attested but health."""
        return not self.unread and all(service != BUILDER for _, service in self.silent)

    def with_source(self, message: TopologyEntity | None, cluster: str, source: str) -> "Attestation":
        """This, after the next message of one source; None: it is gone. The same object if nothing differs."""
        scopes = [] if message is None or message.is_removal else message.unread
        key = (cluster, source)
        if scopes == self.unread.get(key, []):
            return self
        others = {each: unread for each, unread in self.unread.items() if each != key}
        return Attestation({**others, key: scopes} if scopes else others, self.silent)

    def with_silent(self, silent: Scopes) -> "Attestation":
        """This, with what is known of the services now. The same object if nothing differs."""
        return self if silent == self.silent else Attestation(self.unread, silent)

    def silence(self, ref: Ref, service: str) -> Unread | None:
        """Why a service does not keep an entity up to date; None: it does."""
        scopes = self.silent.get((ref.cluster, service), ())
        return next((each for each in scopes if each.covers(ref)), None)

    def changed(self, other: "Attestation") -> list[tuple[str, str]]:
        """The sources of which another one says something else."""
        return _changed(self.unread, other.unread)

    def silence_changed(self, other: "Attestation") -> list[tuple[str, str]]:
        """The same for the services that write topology and health."""
        return _changed(self.silent, other.silent)

    def stale(self, entity: TopologyEntity) -> list[str]:
        """The sources of an entity that do not attest it; all, while topology-builder does not keep it up to date."""
        if self.silence(entity.ref, BUILDER) is not None:
            return entity.sources or [BUILDER]
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


def _changed(old: Scopes, new: Scopes) -> list[tuple[str, str]]:
    return [key for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)]


ATTESTED: Final = Attestation()
"""Every source attests everything."""
