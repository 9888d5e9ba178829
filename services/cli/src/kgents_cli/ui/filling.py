"""The world → the rows of the screen that is shown. Each screen keeps its own filter, order and selected row."""

import asyncio
import time
from typing import Any, Final

from kgents_cli.ui.filter import passes
from kgents_cli.ui.kept import Kept
from kgents_cli.ui.orders import ORDERS, WORST, Order, after
from kgents_cli.ui.rows.known import Known, Pipeline
from kgents_cli.ui.screens import ENTITIES_SCREEN, NAMES, SCREENS, Screen, columns_of
from kgents_cli.ui.source.source import Source
from kgents_cli.ui.source.then import Then
from kgents_cli.ui.table import Table
from kgents_cli.ui.widgets import DBMetricsPanel
from kgents_cli.ui.window import Window
from kgents_cli.ui.world import World
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.pulse import DatabasePulse

EVERY_S: Final = 1.0
"""Rows that are made of the whole world are made no more often."""
ASK_EVERY_S: Final = 2.0
ANSWER_S: Final = 10.0
OPENED_MAX: Final = 1_000
"""Nodes of a tree that are remembered."""


class Filling:
    """Fills the table."""

    def __init__(self, source: Source, world: World, table: Table, gauges: DBMetricsPanel) -> None:
        self.world = world
        self.then: Then | None = None
        """The past that is shown; None: it is now."""
        self.place: Screen = ENTITIES_SCREEN
        self.order: Order = WORST
        """Of entities; each other screen has one of its own."""
        self.filters: dict[str, str] = {}
        """Screen → what is typed behind `/`."""
        self.opened: frozenset[str] = frozenset()
        self.deciding: dict[str, str] = {}
        self._source = source
        self.table = table
        self._gauges = gauges
        self._windows: dict[str, Window[Any]] = {each.name: Window(lambda row: row.order) for each in SCREENS}
        self._live = world
        self._asked = Known(world, source.now())
        self._asked_for = ""
        self._answers = 0
        self._made_of: tuple[Any, ...] = ()
        self._made_at_s = 0.0
        self._wakened = asyncio.Event()

    @property
    def filter_text(self) -> str:
        """Of the screen that is shown."""
        return self.filters.get(self.place.name, "")

    @property
    def waiting(self) -> int:
        """Entities that differ and are not shown yet."""
        return len(self.world.pending) if self.place is ENTITIES_SCREEN else 0

    def restore(self, kept: Kept) -> None:
        """Begin where the last dashboard ended."""
        self.opened = frozenset(kept.opened)
        self.use_order(ORDERS.get(kept.order, WORST))
        for name, text in kept.filters.items():
            if name in self._windows:
                self.filters[name] = text
                self._windows[name].filter(passes(text))
        self.show(NAMES.get(kept.screen, ENTITIES_SCREEN))

    def keep(self, kept: Kept) -> None:
        """What the next dashboard begins with."""
        kept.screen, kept.opened = self.place.name, sorted(self.opened)[:OPENED_MAX]
        kept.order = self.order.name
        kept.filters = {name: text for name, text in self.filters.items() if text}

    def show(self, place: Screen) -> None:
        """Show another screen."""
        self._live.fault(self.place.title, "")  # what it asked for is not asked for any more
        self.place = place
        self._made_of = ()
        self._wakened.set()
        self.table.use(self._windows[place.name], columns_of(place, self.world))
        self.take()

    def use_world(self, world: World, then: Then | None) -> None:
        """Show another world: of a past time, or (None) that of now again."""
        self.world, self.then = world, then
        world.pending.clear()
        self._windows[ENTITIES_SCREEN.name].replace(world.items)
        self._asked_for = ""
        self.show(self.place)

    def filter(self, text: str) -> None:
        """Show only what passes."""
        self.filters[self.place.name] = text
        self.table.window.filter(passes(text))
        self.table.draw()
        self._show_gauges(self._asked)
        self._note_empty()

    def use_order(self, order: Order) -> None:
        """List entities in another order."""
        self.order = order
        self._windows[ENTITIES_SCREEN.name].reorder(order.of)
        self.table.draw()

    def next_order(self) -> str:
        """The next order; returns what it is, or why there is none."""
        if self.place is not ENTITIES_SCREEN:
            return f"only entities have another order; {self.place.title.lower()} stay as they are"
        self.use_order(after(self.order))
        return self.order.text

    def toggle(self, key: str) -> None:
        """Open or close a node of a tree."""
        self.opened = self.opened ^ {key}
        self._made_of = ()
        self.take()

    def take(self) -> set[str]:
        """Show what has changed; returns the keys of entities that did."""
        found = self.world.take_pending()
        if found:
            if self.place is ENTITIES_SCREEN:
                self.table.take(found.items())
            else:
                self._windows[ENTITIES_SCREEN.name].put(found.items())
            self.table.show(columns_of(self.place, self.world))
        if self.place.rows is not None:
            self._make()
        self._note_empty()
        return set(found)

    def _make(self) -> None:
        """Make the rows, if what they are made of has changed, and take the difference."""
        made_of = (self.world.version, self.world.changes, self._answers, self.opened, tuple(self.deciding.items()))
        now_s = time.monotonic()
        if self.place.rows is None or made_of == self._made_of or (self._made_of and now_s < self._made_at_s + EVERY_S):
            return
        self._made_of, self._made_at_s = made_of, now_s
        is_asked = self._asked_for == self.place.name
        known = Known(self.world, self._source.now(), opened=self.opened, deciding=self.deciding)
        if is_asked:
            known.views, known.pulses, known.pipeline = self._asked.views, self._asked.pulses, self._asked.pipeline
        rows = self.place.rows(known)
        old = self.table.window.listing.items
        gone = [(key, None) for key in old if key not in rows]
        self.table.take([*gone, *((key, row) for key, row in rows.items() if old.get(key) != row)])
        self._show_gauges(known)

    def _show_gauges(self, known: Known) -> None:
        """Of the databases that the table shows."""
        if self.place.has_gauges and self._asked_for == self.place.name:
            listing = self.table.window.listing
            pulses = (known.pulses.get(view.ref) for view in known.views if view.key in listing)
            shown = [each for each in pulses if isinstance(each, DatabasePulse)]
            self._gauges.set_class(not shown, "none")
            self._gauges.show(shown, self._source.now())

    def _note_empty(self) -> None:
        """Say why there is no row."""
        listing = self.table.window.listing
        text = self.place.empty if self.then is None else "nothing is remembered of that time"
        if self._source.clusters and self.then is None and not self.world.items:
            text = f"nothing is known of {', '.join(self._source.clusters)}; without --cluster all clusters are shown"
        if not self.world.is_complete or (self._needs_answers and self._asked_for != self.place.name):
            text = next((f"{what}: {why}" for what, why in self.world.faults.items()), "reading …")
        elif listing.items and not len(listing):
            text = f"none of {len(listing.items):,} passes the filter; Esc clears it"
        self.table.say_empty(text)

    @property
    def _needs_answers(self) -> bool:
        return bool(self.place.kinds) or self.place.shows_pipeline

    async def ask(self) -> None:
        """Ask the source for what the screen needs, for as long as it is shown. Never returns."""
        while True:
            self._wakened.clear()
            if self._needs_answers and self.world.is_complete:
                await self._ask(self.place)
            try:
                async with asyncio.timeout(ASK_EVERY_S):
                    await self._wakened.wait()
            except TimeoutError:
                continue

    async def _ask(self, place: Screen) -> None:
        found = Known(self.world, self._source.now())
        if self.then is not None:  # figures and reports of services are of now alone
            found.views = self.then.views(place.kinds)
            self._answered(place, found)
            return
        why = ""
        try:
            async with asyncio.timeout(ANSWER_S):
                if place.kinds:
                    found.views = self._source.views(place.kinds)
                    found.pulses = await self._source.pulses(place.kinds)
                if place.shows_pipeline:
                    found.pipeline = await self._source.pipeline() or Pipeline()
        except TimeoutError:
            why = f"no answer within {ANSWER_S:g} s"
        except KgentsError as error:
            why = str(error)
        else:
            self._answered(place, found)
        if place is self.place:
            self._live.fault(place.title, why)

    def _answered(self, place: Screen, found: Known) -> None:
        """Take an answer; the first one for a screen is shown at once: until then it says that it reads."""
        if found.world is not self.world:  # meanwhile another time is shown
            return
        is_first = self._asked_for != place.name
        self._asked, self._asked_for = found, place.name
        self._answers += 1
        if is_first:
            self._made_of = ()
            self.take()
