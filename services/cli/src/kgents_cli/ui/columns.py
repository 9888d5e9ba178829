"""What a table shows of a row, as data, and how wide each column is on a terminal of some width. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from kgents_cli.ui.clusters import labels, marks
from kgents_cli.ui.filter import Searched
from kgents_cli.ui.item import Item
from kgents_cli.units import NOT_KNOWN
from kgents_shared.view.moment import span

GAP: Final = 1
CLUSTER_WIDTH: Final = 12


class Cell(msgspec.Struct, frozen=True, gc=False):
    """A text and its meaning, one of `palette.STYLES`."""

    text: str
    style: str = ""
    level: str = ""
    """Draw the mark of this level before it."""
    is_name: bool = False
    """Where it is too long, both its ends are shown."""


class Column(msgspec.Struct, frozen=True):
    """One column."""

    heading: str
    width: int
    """At least so many columns of the terminal."""
    read: Callable[[Any, datetime], Cell]
    grow: int = 0
    """Its share of the room that is left."""
    drop: int = 0
    """Where there is no room for all, the column with the highest number goes first; 0: never."""


def laid_out(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """The columns that fit, and how wide each is; together exactly `width`."""
    shown = list(columns)
    while len(shown) > 1 and sum(each.width + GAP for each in shown) - GAP > width:
        last = max(shown, key=lambda each: each.drop)
        if not last.drop:
            break
        shown.remove(last)
    left = width - sum(each.width + GAP for each in shown) + GAP
    grow = sum(each.grow for each in shown)
    widths = [each.width + (left * each.grow // grow if grow and left > 0 else 0) for each in shown]
    rest = width - sum(widths) - GAP * (len(shown) - 1)
    if rest > 0 or (rest < 0 and widths):
        index = max(range(len(shown)), key=lambda at: (shown[at].grow, at))
        widths[index] = max(1, widths[index] + rest)
    return list(zip(shown, widths, strict=True))


def level_cell(item: Item, _: datetime) -> Cell:
    """Mark, word and score: no colour is needed to read it."""
    word = item.level if item.score is None or item.level == "healthy" else f"{item.level} {item.score:.2f}"
    return Cell(f"{word}{' stale' if item.is_stale and item.level != 'unknown' else ''}", item.level, item.level)


def age_cell(item: Item, now: datetime) -> Cell:
    """How long it exists."""
    if item.created_at is None:
        return Cell(NOT_KNOWN, "dim")
    return Cell(span(max(0.0, (now - item.created_at).total_seconds())), "dim")


@lru_cache(maxsize=64)
def cluster_column(names: tuple[str, ...]) -> Column:
    """Which cluster, as the header marks it. It is never left out: rows of two clusters may differ in nothing else."""
    of, named = marks(names), labels(names, CLUSTER_WIDTH - len("■ "))

    def read(row: Searched, _: datetime) -> Cell:
        name = row.field("cluster") or ""
        mark = of.get(name, "")
        return Cell(named.get(name, name), mark, mark)

    return Column("CLUSTER", CLUSTER_WIDTH, read)


ENTITIES: Final = (
    Column("HEALTH", 15, level_cell),
    Column("KIND", 11, lambda item, _: Cell(item.ref.kind, "dim"), drop=3),
    Column("NAMESPACE", 10, lambda item, _: Cell(item.ref.namespace, "dim"), grow=1, drop=5),
    Column("NAME", 18, lambda item, _: Cell(item.ref.name, "bold", is_name=True), grow=2),
    Column("WHY", 20, lambda item, _: Cell(item.why or item.status, "" if item.why else "dim"), grow=5, drop=1),
    Column("AGE", 5, age_cell, drop=6),
)
