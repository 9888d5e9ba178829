"""Rows in their order, filtered, while they change. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Listing(Generic[T]):
    """Rows by key, in the order of `order`, which ends with the key."""

    def __init__(self, order: Callable[[T], tuple[Any, ...]]) -> None:
        self.items: dict[str, T] = {}
        """Every row, also those that do not pass."""
        self._order = order
        self._passes: Callable[[T], bool] = lambda _: True
        # Of each row that passes, in their order. Two lists, since pairs take three times as long to compare.
        self._orders: list[tuple[Any, ...]] = []
        self._keys: list[str] = []
        self._places: dict[str, tuple[Any, ...]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def at(self, row: int) -> T:
        """The row at a place."""
        return self.items[self._keys[row]]

    def key_at(self, row: int) -> str:
        """The key of a row."""
        return self._keys[row]

    def place(self, key: str) -> int | None:
        """Where a row is; None: it is not shown."""
        order = self._places.get(key)
        if order is None:
            return None
        row = bisect_left(self._orders, order)
        while self._keys[row] != key:
            row += 1
        return row

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

    def put(self, changes: Iterable[tuple[str, T | None]]) -> None:
        """Take changes (None: gone)."""
        for key, item in changes:
            if item is None:
                self.items.pop(key, None)
            else:
                self.items[key] = item
            old = self._places.get(key)
            new = self._order(item) if item is not None and self._passes(item) else None
            if new == old:
                continue
            if (row := self.place(key)) is not None:
                del self._orders[row], self._keys[row], self._places[key]
            if new is not None:
                row = bisect_left(self._orders, new)
                self._orders.insert(row, new)
                self._keys.insert(row, key)
                self._places[key] = new

    def _rebuild(self) -> None:
        found = sorted((self._order(item), key) for key, item in self.items.items() if self._passes(item))
        self._orders, self._keys = [order for order, _ in found], [key for _, key in found]
        self._places = {key: order for order, key in found}
