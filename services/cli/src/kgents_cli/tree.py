"""Entities → a tree: cluster → namespace → entity → an arrow for each kind of connection."""

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final, TypeVar

from kgents_cli.output import painted
from kgents_cli.sentence import clean
from kgents_shared.contract.entity import Ref
from kgents_shared.view.entity import EntityView

MARKS: Final = {"healthy": "●", "warning": "▲", "critical": "✖", "unknown": "?"}
_NOT_SCORED: Final = "○"

T = TypeVar("T")


def tree(views: Iterable[EntityView]) -> Iterator[str]:
    """The lines of the tree."""
    ordered = sorted(views, key=lambda each: (each.ref.cluster, each.ref.namespace, each.ref))
    for cluster, in_cluster in groupby(ordered, key=lambda each: each.ref.cluster):
        yield painted(clean(cluster), "bold", sys.stdout)
        namespaces = [
            (name, list(members)) for name, members in groupby(in_cluster, key=lambda each: each.ref.namespace)
        ]
        for (namespace, members), branch, trunk in _branches(namespaces):
            label = painted(clean(namespace), "bold", sys.stdout) if namespace else "(no namespace)"
            yield branch + label
            for view, inner_branch, inner_trunk in _branches(members):
                yield trunk + inner_branch + headline(view)
                for arrow, leaf, _ in _branches(list(arrows(view))):
                    yield trunk + inner_trunk + leaf + painted(arrow, "dim", sys.stdout)


def headline(view: EntityView) -> str:
    """An entity in one line: mark, name, status, health, reason."""
    level = view.level if view.health is not None else ""
    score = level if view.score is None else f"{level} {view.score:.2f}"
    mark = painted(MARKS.get(level, _NOT_SCORED), level or "dim", sys.stdout)
    parts = [
        f"{mark} {clean(f'{view.ref.kind} {view.ref.name}')}",
        painted(clean(view.status), "dim", sys.stdout),
        painted(score, level, sys.stdout),
        clean(view.why),
    ]
    return "  ".join(filter(None, parts))


def arrows(view: EntityView) -> Iterator[str]:
    """A line for each kind and direction of connection, with all its peers."""
    peers: dict[tuple[str, str], list[str]] = {}
    for connection in view.topology.connections if view.topology is not None else ():
        arrow = "→" if connection.direction == "out" else "←"
        peers.setdefault((arrow, connection.kind), []).append(peer_name(connection.peer, view.ref))
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
