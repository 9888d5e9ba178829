"""One of our entities → its type and id at OpenTelemetry, by its conventions where they know the kind. Pure."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.otel_entities import CLUSTER, TYPE_BY_KIND
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds

OWN: Final = "kgents."
"""What types begin with that OpenTelemetry does not know."""


class Identity(Struct, frozen=True):
    """What distinguishes an entity from all others."""

    type: str
    id: Mapping[str, str]

    def attributes(self) -> dict[str, object]:
        """As every record about it has them."""
        return {"entity.type": self.type, "entity.id": dict(self.id)}


def identity(ref: Ref, topology: TopologyEntity | None) -> Identity:
    """The identity of an entity: by its uid, if it has one, else by its name.

    Args:
        ref: its name.
        topology: what is known of it; None: nothing.
    """
    known = TYPE_BY_KIND.get(ref.kind)
    if known is None:
        own = {CLUSTER: ref.cluster, "kgents.namespace": ref.namespace, "kgents.name": ref.name}
        return Identity(f"{OWN}{ref.kind}", {name: value for name, value in own.items() if value})
    type_, names = known
    if topology is not None and names.uid:
        uid = topology.attributes.get(names.uid) or (topology.uid if ref.kind != kinds.HOST else None)
        if uid:
            return Identity(type_, {names.uid: str(uid)})
    return Identity(type_, named(ref))


def named(ref: Ref) -> dict[str, str]:
    """The attributes that name an entity of a kind that OpenTelemetry knows; none of another one."""
    if (known := TYPE_BY_KIND.get(ref.kind)) is None:
        return {}
    _, names = known
    return {names.name: ref.name, **({names.namespace: ref.namespace} if names.namespace and ref.namespace else {})}
