"""Entities as a tree: cluster → namespace → owner → owned, each with the worst of what is beneath it. Pure."""

from collections import Counter
from collections.abc import Iterator

import msgspec

from kgents_cli.ui.columns import Cell
from kgents_cli.ui.item import RANK, Item
from kgents_cli.ui.rows.known import Known
from kgents_cli.ui.rows.row import Row, columns

COLUMNS = columns(("HEALTH", 16, 0, 0), ("NAME", 30, 3, 0), ("BELOW", 22, 2, 2), ("WHY", 20, 3, 1))
_NO_NAMESPACE = "(no namespace)"
_DEPTH_MAX = 16
"""Owners of owners that are followed: they may form a circle."""


class _Node(msgspec.Struct):
    """One line, if all above it are open."""

    key: str
    name: str
    kind: str
    item: Item | None
    parent: str
    children: list[str] = []
    below: Counter[str] = msgspec.field(default_factory=Counter)


def rows(known: Known) -> dict[str, Row]:
    """The nodes whose parents are open. Clusters are open at first, everything else is closed."""
    nodes = _nodes(known.world.items)
    _roll_up(nodes)
    roots = [node for node in nodes.values() if not node.parent]
    found = {}
    for root in roots:
        for row in _lines(root, nodes, known.opened, ()):
            found[row.key] = row
    return found


def is_open(key: str, opened: frozenset[str]) -> bool:
    """Whether what is beneath a node is shown."""
    return (key in opened) is not ("." not in key)


def _nodes(items: dict[str, Item]) -> dict[str, _Node]:
    nodes: dict[str, _Node] = {}
    for key, item in items.items():
        cluster, _, namespace, _ = key.split(".", 3)
        place = f"{cluster}.{namespace}"
        if cluster not in nodes:
            nodes[cluster] = _Node(cluster, item.ref.cluster, "", None, "")
        if place not in nodes:
            nodes[place] = _Node(place, item.ref.namespace or _NO_NAMESPACE, "", None, cluster)
        parent = item.parent if item.parent in items and item.parent != key else place
        nodes[key] = _Node(key, item.ref.name, item.ref.kind, item, parent)
    for node in nodes.values():
        if node.item is not None and node.item.parent and _is_circle(node, nodes):
            cluster, _, namespace, _ = node.key.split(".", 3)
            node.parent = f"{cluster}.{namespace}"
    for node in nodes.values():
        if node.parent:
            nodes[node.parent].children.append(node.key)
    return nodes


def _is_circle(node: _Node, nodes: dict[str, _Node]) -> bool:
    at = node.parent
    for _ in range(_DEPTH_MAX):
        if at == node.key:
            return True
        if not at:
            return False
        at = nodes[at].parent
    return True


def _roll_up(nodes: dict[str, _Node]) -> None:
    for node in nodes.values():
        at = node.parent if node.item is not None else ""
        while at:
            nodes[at].below[node.item.level if node.item is not None else ""] += 1
            at = nodes[at].parent


def _lines(node: _Node, nodes: dict[str, _Node], opened: frozenset[str], path: tuple[str, ...]) -> Iterator[Row]:
    place = (*path, f"{node.kind} {node.name} {node.key}")
    is_shown = is_open(node.key, opened)
    yield _row(node, place, is_shown=is_shown)
    if is_shown:
        for child in node.children:
            yield from _lines(nodes[child], nodes, opened, place)


def _row(node: _Node, place: tuple[str, ...], *, is_shown: bool) -> Row:
    item = node.item
    levels = [*node.below.elements()] if len(node.below) <= 1 else list(node.below)
    worst = min(
        [*(each for each in levels if node.below[each]), *([item.level] if item else [])],
        key=lambda level: RANK.get(level, 2),
        default="unknown",
    )
    fold = ("- " if is_shown else "+ ") if node.children else "  "
    name = f"{node.kind} {node.name}".strip()
    unwell = [
        f"{count:,} {level}"
        for level, count in sorted(node.below.items(), key=lambda each: RANK.get(each[0], 2))
        if level != "healthy" and count
    ]
    total = node.below.total()
    below = f"{total:,}: {', '.join(unwell)}" if unwell else f"{total:,} healthy" if total else ""
    cells = (
        Cell(worst, worst, worst),
        Cell("  " * (len(place) - 1) + fold + name, "bold" if item is None else ""),
        Cell(below, "" if unwell else "dim"),
        Cell(item.why if item is not None else "", ""),
    )
    fields = {"kind": node.kind, "level": worst}
    return Row(
        key=node.key,
        order=(place,),
        cells=cells,
        ref=item.ref if item else None,
        entity=node.key if item else "",
        fields=fields,
    )
