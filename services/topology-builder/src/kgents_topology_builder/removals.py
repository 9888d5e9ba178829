"""That an entity is gone: which removal counts, and what the topology says of it. Pure."""

from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.wire import REMOVE


def is_late(removal: Entity, known: Entity | TopologyEntity | None) -> bool:
    """Whether a removal names another incarnation than the one that it replaces."""
    return known is not None and bool(known.uid and removal.uid) and known.uid != removal.uid


def removal(ref: Ref, uid: str, reason: str) -> TopologyEntity:
    """The message that an entity is gone."""
    return TopologyEntity(text="", ref=ref, op=REMOVE, uid=uid, reason=reason)
