"""A row of a screen whose rows are made as they are shown. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from kgents_cli.ui.columns import Cell, Column
from kgents_cli.units import NOT_KNOWN
from kgents_shared.contract.entity import Ref
from kgents_shared.view.moment import span


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row."""

    key: str
    order: tuple[Any, ...]
    """Ends with what no other row has."""
    cells: tuple[Cell, ...]
    at: datetime | None = None
    """When it happened or began: its age is made of that when it is drawn."""
    ref: Ref | None = None
    """What it is about: described with `d`."""
    entity: str = ""
    """The key of that."""
    fields: Mapping[str, str] = {}
    """What filters compare."""

    @property
    def searched(self) -> str:
        """What a filter without a field compares."""
        return " ".join(each.text for each in self.cells).lower()

    def field(self, name: str) -> str | None:
        """None: there is no such field."""
        return self.fields.get(name)


def cell(number: int) -> Callable[[Row, datetime], Cell]:
    """Reads a cell."""
    return lambda row, _: row.cells[number]


def age(row: Row, now: datetime) -> Cell:
    """How long ago it was."""
    return Cell(span(max(0.0, (now - row.at).total_seconds())) if row.at is not None else NOT_KNOWN, "dim")


def columns(*named: tuple[str, int, int, int], has_age: bool = False) -> tuple[Column, ...]:
    """Columns of cells, in their order: heading, width, share of the room left, and when to leave it out."""
    found = [Column(heading, width, cell(at), grow, drop) for at, (heading, width, grow, drop) in enumerate(named)]
    return (*found, Column("AGE", 5, age, drop=2)) if has_age else tuple(found)
