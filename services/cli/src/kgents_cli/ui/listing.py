"""Rows in their order, filtered, while they change: what of the picture differs after each change. Pure."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

EVERYTHING: Final = -1


class Listing(Generic[T]):
    """Rows by key, in the order of `order`, which ends with the key."""

    def __init__(self, order: Callable[[T], tuple[Any, ...]]) -> None:
        self.items: dict[str, T] = {}
        """Every row, also those that do not pass."""
        self._order = order
        self._passes: Callable[[T], bool] = lambda _: True
        self._rows: list[tuple[tuple[Any, ...], str]] = []
        self._places: dict[str, tuple[Any, ...]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def at(self, row: int) -> T:
        """The row at a place."""
        return self.items[self._rows[row][1]]

    def key_at(self, row: int) -> str:
        """The key of a row."""
        return self._rows[row][1]

    def place(self, key: str) -> int | None:
        """Where a row is; None: it is not shown."""
        order = self._places.get(key)
        return bisect_left(self._rows, (order, key)) if order is not None else None

    def replace(self, items: Mapping[str, T]) -> None:
        """Other rows altogether."""
        self.items = dict(items)
        self._rebuild()

    def filter(self, passes: Callable[[T], bool]) -> None:
        """Show only what passes."""
        self._passes = passes
        self._rebuild()

    def reorder(self, order: Callable[[T], tuple[Any, ...]]) -> None:
        """Another order."""
        self._order = order
        self._rebuild()

    def put(self, changes: Iterable[tuple[str, T | None]]) -> tuple[int, int] | None:
        """Take changes (None: gone); returns the first and last row that differ now, the last one exclusive.

        EVERYTHING as the last: all below differ, because rows were added or removed. None: no shown row differs.
        """
        first, last, has_moved = len(self._rows) + 1, 0, False
        for key, item in changes:
            old = self._places.get(key)
            if item is None:
                self.items.pop(key, None)
            else:
                self.items[key] = item
            new = self._order(item) if item is not None and self._passes(item) else None
            if old is None and new is None:
                continue
            touched = []
            if old is not None:
                touched.append(at := bisect_left(self._rows, (old, key)))
                if new != old:
                    del self._rows[at]
                    del self._places[key]
            if new is not None:
                if new != old:
                    insort(self._rows, (new, key))
                    self._places[key] = new
                touched.append(bisect_left(self._rows, (new, key)))
            has_moved = has_moved or (old is None) is not (new is None)
            first, last = min(first, *touched), max(last, *touched)
        if first > len(self._rows):
            return None
        return first, EVERYTHING if has_moved else last + 1

    def _rebuild(self) -> None:
        found = ((self._order(item), key) for key, item in self.items.items() if self._passes(item))
        self._rows = sorted(found)
        self._places = {key: order for order, key in self._rows}
