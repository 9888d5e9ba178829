"""The lines at the top and bottom: where, how well, whether it is live; the screens; the keys, or a report."""

import time
from collections import deque
from typing import Final

from kgents_cli.ui.bars import Bar
from kgents_cli.ui.filling import Filling
from kgents_cli.ui.header import hint_actions, hint_parts, left_parts, right_parts, tab_parts
from kgents_cli.ui.ink import Ink
from kgents_cli.ui.orders import WORST
from kgents_cli.ui.part import Part
from kgents_cli.ui.screens import ENTITIES_SCREEN, SCREENS
from kgents_cli.ui.source.source import Source
from kgents_cli.ui.world import World

SAID_S: Final = 8.0
"""For so long a report stands in the last line."""
TABS_FROM: Final = 100
"""Columns from which each screen is named in the line of their numbers."""
RATE_TICKS: Final = 25


class Frame:
    """Three bars."""

    def __init__(self, ink: Ink, source: Source, world: World) -> None:
        self.header, self.tabs, self.footer = (Bar(ink, id=name) for name in ("header", "tabs", "footer"))
        self._source = source
        self._world = world
        self._said, self._said_until_s = "", 0.0
        self._rates: deque[tuple[float, int]] = deque(maxlen=RATE_TICKS)

    def say(self, text: str) -> None:
        """Report something that no row shows."""
        self._said, self._said_until_s = text, time.monotonic() + SAID_S

    def note(self, now_s: float) -> None:
        """Take note of how much has changed until now."""
        self._rates.append((now_s, self._world.changes))

    def show(self, filling: Filling, past: str, *, width: int, is_held: bool) -> None:
        """Show how it is. `past`: what is said of the past time that is shown; `is_held`: no row moves now."""
        now_s, place, table = time.monotonic(), filling.place, filling.table
        waiting = filling.waiting if is_held else 0
        right = right_parts(self._world, self._source.now(), now_s, per_s=self._per_s(), waiting=waiting, past=past)
        self.header.show([*left_parts(filling.world, self._source.name)], [*right])
        tabs = [*tab_parts(place, is_wide=width >= TABS_FROM)]
        listing, text = table.window.listing, filling.filter_text
        shown = f"{len(listing):,} of {len(listing.items):,} " if text else f"{len(listing):,} "
        filtered = [Part(f"/{text}  ", "accent")] if text else []
        if place is ENTITIES_SCREEN and filling.order is not WORST:
            filtered.append(Part(f"{filling.order.text}  ", "accent"))
        self.tabs.show(tabs, [*filtered, Part(shown, "dim")], [f"app.screen('{each.name}')" for each in SCREENS])
        if now_s < self._said_until_s:
            self.footer.show([Part(f" {self._said}", "bold")])
        else:
            self.footer.show([*hint_parts()], actions=hint_actions())

    def _per_s(self) -> float:
        if not self._rates:
            return 0.0
        (first_s, first), (last_s, last) = self._rates[0], self._rates[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0
