"""The part of a listing that is visible, and the selected row: a key, never a number. Pure.

A row that is selected stays on its line of the screen while others come and go above it. Before anyone has selected
one, the first row is, whichever that is.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from kgents_cli.ui.listing import Listing

T = TypeVar("T")


class Window(Generic[T]):
    """So many lines of a listing."""

    def __init__(self, order: Callable[[T], tuple[Any, ...]]) -> None:
        self.listing: Listing[T] = Listing(order)
        self.height = 1
        self.top = 0
        """The row on the first line."""
        self.key: str | None = None
        """The selected one; None: there is no row."""
        self.is_chosen = False
        """Whether someone has selected it."""

    @property
    def line(self) -> int | None:
        """The line of the selected row; None: it is not visible."""
        place = self.listing.place(self.key) if self.key is not None else None
        return place - self.top if place is not None and 0 <= place - self.top < self.height else None

    @property
    def selected(self) -> T | None:
        """The selected row."""
        return self.listing.items.get(self.key) if self.key is not None and self.key in self.listing else None

    def resize(self, height: int) -> None:
        """So many lines are visible now."""
        self.height = max(1, height)
        self._show()

    def replace(self, items: Mapping[str, T]) -> None:
        """Other rows; what is selected stays so if it is still there."""
        self.listing.replace(items)
        self._settle(0)
        self._show()

    def reorder(self, order: Callable[[T], tuple[Any, ...]]) -> None:
        """Another order; what is selected stays so."""
        self.listing.reorder(order)
        self._settle(0)
        self._show()

    def filter(self, passes: Callable[[T], bool]) -> None:
        """Show only what passes."""
        self.listing.filter(passes)
        self._settle(0)
        self._show()

    def put(self, changes: Iterable[tuple[str, T | None]]) -> None:
        """Take changes (None: gone)."""
        old_line, old_place = self.line, self.listing.place(self.key) if self.key is not None else None
        anchor = self.key if old_line is not None else self._key_at(self.top)
        self.listing.put(changes)
        self._settle(old_place or 0)
        place = self.listing.place(anchor) if self.is_chosen and anchor is not None else None
        self.top = self._clamped(self.top if place is None else place - (old_line or 0))

    def move(self, by: int) -> None:
        """Select another row, so many further down."""
        place = self.listing.place(self.key) if self.key is not None else None
        self.select(0 if place is None else place + by)

    def select(self, row: int) -> None:
        """Select the row at a place, or the nearest there is, and show it."""
        if not len(self.listing):
            return
        row = max(0, min(row, len(self.listing) - 1))
        self.key = self.listing.key_at(row)
        self.is_chosen = True
        self._show()

    def release(self) -> None:
        """Back to the first row, whichever that will be."""
        self.is_chosen, self.top = False, 0
        self._settle(0)

    def scroll(self, by: int) -> None:
        """Show other rows; the selected one may leave the window."""
        if len(self.listing) > self.height:
            self.is_chosen = True
        self.top = self._clamped(self.top + by)

    def _key_at(self, row: int) -> str | None:
        return self.listing.key_at(row) if row < len(self.listing) else None

    def _settle(self, old_place: int) -> None:
        """Select what is there: the same row, else its neighbour, else the first one."""
        if not len(self.listing):
            self.key = None
            return
        if not self.is_chosen:
            self.key, self.top = self.listing.key_at(0), 0
        elif self.key is None or self.key not in self.listing:
            self.key = self.listing.key_at(min(old_place, len(self.listing) - 1))

    def _show(self) -> None:
        """Move the window so that the selected row is in it."""
        place = self.listing.place(self.key) if self.key is not None else None
        if place is None:
            self.top = self._clamped(self.top)
            return
        self.top = self._clamped(min(max(self.top, place - self.height + 1), place))

    def _clamped(self, top: int) -> int:
        return max(0, min(top, len(self.listing) - self.height))
