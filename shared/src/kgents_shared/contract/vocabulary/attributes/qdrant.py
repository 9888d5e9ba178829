"""What collectors state of Qdrant and OpenTelemetry has no name for."""

from typing import Final

from kgents_shared.contract.vocabulary.attributes.attribute import Attributes

_OURS: Final = Attributes()
_attribute = _OURS.attribute

PEER_ID: Final = _attribute("kgents.qdrant.peer_id", "Its id in the cluster.")
RAFT_LEADER: Final = _attribute("kgents.qdrant.raft.leader", "The leader that this peer knows, or `none`.")
RELATION: Final = _attribute("kgents.qdrant.relation", "Of a connection: `cluster`.")
STATUS: Final = _attribute("kgents.qdrant.status", "Of a collection: `green` (or yellow), `grey`, `red`.")

ATTRIBUTES: Final = tuple(_OURS.declared)
