"""Topology and health → a tree or a table. Pure, but for the width of the terminal."""

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, Literal

import msgspec
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from kgents_cli.moment import span
from kgents_cli.output import is_coloured, painted
from kgents_cli.sentence import clean
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health
from kgents_shared.contract.topology import TopologyEntity

MARKS: Final = {"healthy": "●", "warning": "▲", "critical": "✖", "unknown": "?"}
STYLES: Final = {"healthy": "green", "warning": "yellow", "critical": "red", "unknown": "magenta"}
_NOT_SCORED: Final = "○"
_HEADING: Final = ("CLUSTER", "KIND", "NAMESPACE", "NAME", "STATUS", "HEALTH", "AGE", "WHY")
_HEALTH: Final = _HEADING.index("HEALTH")

_UNBOUNDED_COLUMNS: Final = 10_000
"""Off a terminal nothing is wrapped or cut: a line is a record."""


class Thing(msgspec.Struct, frozen=True):
    """One thing and how well it is; None: nobody has said yet."""

    entity: TopologyEntity
    health: Health | None

    @property
    def ref(self) -> Ref:
        """Its name."""
        return self.entity.ref

    @property
    def level(self) -> str:
        """Its level of health; empty if nobody has said."""
        return self.health.level if self.health is not None else ""

    @property
    def why(self) -> str:
        """The most telling reason for its state, if it needs one."""
        if self.health is not None and self.health.reasons:
            return clean(self.health.reasons[0].text)
        if self.entity.stale:
            return clean(f"stale: nothing heard from {', '.join(self.entity.stale)}")
        return clean(self.entity.reason)


def things(entities: Iterable[TopologyEntity], health: Iterable[Health]) -> list[Thing]:
    """Every thing with its health, in the order of their names."""
    by_ref = {each.ref: each for each in health}
    return [Thing(each, by_ref.get(each.ref)) for each in sorted(entities, key=lambda each: each.ref)]


def tree(shown: Iterable[Thing]) -> Tree:
    """Cluster → namespace → things, with an arrow for each kind of connection."""
    root = Tree("topology", hide_root=True)
    branches: dict[tuple[str, ...], Tree] = {}
    for thing in sorted(shown, key=lambda thing: (thing.ref.cluster, thing.ref.namespace, thing.ref)):
        cluster, namespace = clean(thing.ref.cluster), clean(thing.ref.namespace)
        if (cluster,) not in branches:
            branches[cluster,] = root.add(Text(cluster, style="bold"))
        if (cluster, namespace) not in branches:
            label = Text(namespace, style="bold") if namespace else Text("(no namespace)", style="dim")
            branches[cluster, namespace] = branches[cluster,].add(label)
        branch = branches[cluster, namespace].add(_headline(thing))
        for arrow in _arrows(thing):
            branch.add(arrow)
    return root


def table(shown: Iterable[Thing], now: datetime) -> Iterator[str]:
    """A heading, and one line for each thing."""
    listed = list(shown)
    rows = [_HEADING, *(_cells(thing, now) for thing in listed)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    levels = ["", *(thing.level for thing in listed)]
    for row, level in zip(rows, levels, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        cells[_HEALTH] = painted(cells[_HEALTH], level, sys.stdout)
        yield "  ".join(cells).rstrip()


def _cells(thing: Thing, now: datetime) -> tuple[str, ...]:
    ref, created = thing.ref, thing.entity.created_at
    names = (ref.cluster, ref.kind, ref.namespace, ref.name, thing.entity.status)
    age = span((now - created).total_seconds()) if created is not None else ""
    return (*map(clean, names), _health(thing), age, thing.why)


def show(picture: Tree) -> None:
    """Print a tree: as wide as the terminal, and off one as wide as it needs."""
    width = None if sys.stdout.isatty() else _UNBOUNDED_COLUMNS
    color_system: Literal["auto"] | None = "auto" if is_coloured(sys.stdout) else None
    console = Console(file=sys.stdout, width=width, color_system=color_system, highlight=False, markup=False)
    console.print(picture)
    sys.stdout.flush()


def _headline(thing: Thing) -> Text:
    style = STYLES.get(thing.level, "dim")
    text = Text()
    text.append(f"{MARKS.get(thing.level, _NOT_SCORED)} ", style=style)
    text.append(clean(f"{thing.ref.kind} {thing.ref.name}"))
    text.append(f"  {clean(thing.entity.status)}", style="dim")
    if health := _health(thing):
        text.append(f"  {health}", style=style)
    if thing.why:
        text.append(f"  {thing.why}", style="italic")
    return text


def _health(thing: Thing) -> str:
    if thing.health is None:
        return ""
    return thing.level if thing.level == "unknown" else f"{thing.level} {thing.health.score:.2f}"


def _arrows(thing: Thing) -> Iterable[Text]:
    """One line for each kind and direction of connection, with all its peers."""
    peers: dict[tuple[str, str], list[str]] = {}
    for connection in thing.entity.connections:
        arrow = "→" if connection.direction == "out" else "←"
        peers.setdefault((arrow, connection.kind), []).append(_peer(connection.peer, thing.ref))
    for (arrow, kind), names in peers.items():
        yield Text(clean(f"{arrow} {kind} {', '.join(names)}"), style="dim")


def _peer(peer: Ref, seen_from: Ref) -> str:
    """A peer's name; its cluster only if it is another one."""
    return str(peer) if peer.cluster == seen_from.cluster else f"{peer} in {peer.cluster}"
