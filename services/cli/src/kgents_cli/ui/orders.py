"""In which order entities are listed: the worst first, the newest first, by name. Pure."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from kgents_cli.ui.item import Item


class Order(msgspec.Struct, frozen=True):
    """One order."""

    name: str
    text: str
    of: Callable[[Item], tuple[Any, ...]]
    """Ends with what no other row has."""


def _newest(item: Item) -> tuple[Any, ...]:
    is_known = item.created_at is not None
    return not is_known, -item.created_at.timestamp() if item.created_at is not None else 0.0, item.key


WORST: Final = Order("worst", "worst first", lambda item: item.order)
ORDERS: Final = {
    each.name: each
    for each in (
        WORST,
        Order("newest", "newest first", _newest),
        Order("name", "by name", lambda item: (item.ref.name.casefold(), item.key)),
    )
}


def after(order: Order) -> Order:
    """The next one."""
    names = list(ORDERS)
    return ORDERS[names[(names.index(order.name) + 1) % len(names)]]
