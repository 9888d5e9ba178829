"""Objects of the Kubernetes API as a cluster gives them (tests/data/collector_k8s), to map and to bend.

Beside each `<name>.json` stands `<name>.fragment.json`, what our mapping makes of it. Run this file to write those
again, and read the diff: it is what subscribers will see.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from kgents_collector_k8s.mapping import CATALOGUE
from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope
from kgents_shared.contract.entity import Connection, Entity

DATA = Path(__file__).parents[1] / "data" / "collector_k8s"
SCOPE = Scope("prod")
CANARY = b"CANARY"
"""Stands in every place where an object can hold a secret."""

Raw = dict[str, Any]

KINDS = {(kind.group, kind.api_kind): kind for kind in CATALOGUE}
NAMES = sorted(path.stem for path in DATA.glob("*.json") if not path.stem.endswith(".fragment"))


def load(name: str) -> Raw:
    found: Raw = json.loads((DATA / f"{name}.json").read_text())
    return found


def kind_of(raw: Raw) -> Kind[Any] | None:
    """The kind of the catalogue that an object is of; None for events, metrics and custom resources."""
    group, slash, _ = raw["apiVersion"].rpartition("/")
    return KINDS.get((group if slash else "", raw["kind"]))


MAPPED = [name for name in NAMES if kind_of(load(name)) is not None]


def decode(raw: Raw) -> Any:
    """The object, decoded from bytes as the collector does."""
    kind = kind_of(raw)
    assert kind is not None, raw["kind"]
    return msgspec.json.decode(json.dumps(raw), type=kind.type)


def mapped(raw: Raw) -> Fragment:
    kind = kind_of(raw)
    assert kind is not None, raw["kind"]
    return kind.fragment(decode(raw), SCOPE)


look = mapped


def golden(fragment: Fragment) -> str:
    plain = msgspec.to_builtins(fragment, str_keys=True)
    return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"


def edges(entity: Entity) -> list[tuple[str, str, str]]:
    """Kind, direction and peer of each connection."""
    return [(each.kind, each.direction, str(each.peer)) for each in entity.connections]


def edge(entity: Entity, peer: str) -> Connection:
    return next(each for each in entity.connections if str(each.peer) == peer)


if __name__ == "__main__":
    for name in MAPPED:
        (DATA / f"{name}.fragment.json").write_text(golden(mapped(load(name))))
