"""Entities → a tree: cluster → namespace → entity → an arrow for each kind of connection."""

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final, TypeVar

from kgents_cli.output import painted
from kgents_cli.record import Record
from kgents_cli.sentence import clean
from kgents_shared.contract.entity import Ref

MARKS: Final = {"healthy": "●", "warning": "▲", "critical": "✖", "unknown": "?"}
_NOT_SCORED: Final = "○"

T = TypeVar("T")


def tree(records: Iterable[Record]) -> Iterator[str]:
    """The lines of the tree."""
    ordered = sorted(records, key=lambda each: (each.ref.cluster, each.ref.namespace, each.ref))
    for cluster, in_cluster in groupby(ordered, key=lambda each: each.ref.cluster):
        yield painted(clean(cluster), "bold", sys.stdout)
        namespaces = [
            (name, list(members)) for name, members in groupby(in_cluster, key=lambda each: each.ref.namespace)
        ]
        for (namespace, members), branch, trunk in _branches(namespaces):
            label = painted(clean(namespace), "bold", sys.stdout) if namespace else "(no namespace)"
            yield branch + label
            for record, inner_branch, inner_trunk in _branches(members):
                yield trunk + inner_branch + headline(record)
                for arrow, leaf, _ in _branches(list(arrows(record))):
                    yield trunk + inner_trunk + leaf + painted(arrow, "dim", sys.stdout)


def headline(record: Record) -> str:
    """An entity in one line: mark, name, status, health, reason."""
    style = record.level or "dim"
    parts = [
        painted(MARKS.get(record.level, _NOT_SCORED), style, sys.stdout)
        + f" {clean(f'{record.ref.kind} {record.ref.name}')}",
        painted(clean(record.entity.status), "dim", sys.stdout),
        painted(record.score, style, sys.stdout),
        record.why,
    ]
    return "  ".join(filter(None, parts))


def arrows(record: Record) -> Iterator[str]:
    """A line for each kind and direction of connection, with all its peers."""
    peers: dict[tuple[str, str], list[str]] = {}
    for connection in record.entity.connections:
        arrow = "→" if connection.direction == "out" else "←"
        peers.setdefault((arrow, connection.kind), []).append(peer_name(connection.peer, record.ref))
    for (arrow, kind), names in peers.items():
        yield clean(f"{arrow} {kind} {', '.join(names)}")


def peer_name(peer: Ref, seen_from: Ref) -> str:
    """A peer's name; its cluster only if it is another one."""
    return str(peer) if peer.cluster == seen_from.cluster else f"{peer} in {peer.cluster}"


def _branches(members: list[T]) -> Iterator[tuple[T, str, str]]:
    """Each member with what is drawn before it and before what is beneath it."""
    for number, member in enumerate(members, 1):
        is_last = number == len(members)
        yield member, "└── " if is_last else "├── ", "    " if is_last else "│   "
