"""Messages that are valid by default, one override per test."""

from datetime import UTC, datetime

from kgents_shared.contract.entity import Connection, Entity, Ref

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
NOW_NS = int(NOW.timestamp() * 1e9)


def make_ref(name: str = "cart-7f", *, kind: str = "pod", namespace: str = "shop", cluster: str = "test") -> Ref:
    return Ref(cluster, kind, name, namespace)


def make_entity(name: str = "cart-7f", *, source: str = "k8s", status: str = "running", **fields: object) -> Entity:
    """An entity of this name; `ref` may be given whole among the fields."""
    return Entity(**{"ref": make_ref(name), "source": source, "status": status, "uid": f"uid-{name}", **fields})  # type: ignore[arg-type]


def make_removal(entity: Entity, reason: str = "deleted") -> Entity:
    return Entity(ref=entity.ref, source=entity.source, op="remove", uid=entity.uid, reason=reason)


def connect_to(peer: Ref | str, kind: str = "depends") -> Connection:
    return Connection(kind=kind, peer=peer, evidence="test")


def subject_of(entity: Entity) -> str:
    return entity.ref.subject("entity", source=entity.source)
