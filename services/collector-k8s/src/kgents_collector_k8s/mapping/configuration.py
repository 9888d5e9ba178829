"""ConfigMaps and Secrets: a ref in another object → its entity. They are never read, so only their name is known."""

from kgents_collector_k8s.mapping.fragment import SOURCE
from kgents_shared.contract.entity import Entity, Ref


def referenced(ref: Ref) -> Entity:
    """The entity of a ConfigMap or Secret that an object refers to. Whether it exists is not known."""
    return Entity(ref=ref, source=SOURCE, status="running", reason="Referenced")
