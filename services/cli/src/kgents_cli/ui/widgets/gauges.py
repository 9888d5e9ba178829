"""The gauges: `pulse` is what one shows. Three lines each, so that a terminal of 40 rows shows many at once."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import ClassVar, Final

from rich.segment import Segment
from textual import events
from textual.containers import ScrollableContainer
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from kgents_cli.ui.ink import Ink
from kgents_cli.ui.palette import DARK
from kgents_cli.ui.part import Line
from kgents_cli.ui.widgets import readings
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import DatabasePulse

COLUMN_MIN: Final = 38
"""Columns of the terminal that one gauge needs."""
COLUMNS_MAX: Final = 6
GAUGES_MAX: Final = 300
"""More databases are counted, not shown: `kgents top databases` lists them all."""


class Gauge(Widget):
    """Any database: its phase, statements and their mean time."""

    DEFAULT_CSS: ClassVar[str] = f"Gauge {{ height: {readings.LINES}; width: 1fr; }}"
    title: ClassVar[str] = "Database"

    pulse: reactive[DatabasePulse | None] = reactive(None)

    def __init__(self, pulse: DatabasePulse | None = None, *, ink: Ink | None = None) -> None:
        super().__init__()
        self._ink = ink or Ink(DARK)
        self._now: datetime | None = None
        self.set_reactive(Gauge.pulse, pulse)

    def at(self, now: datetime | None) -> None:
        """Take this for the present: the phase of a pulse that is older than three intervals is not known."""
        before = self.head()
        self._now = now
        if self.head() != before:
            self.refresh()

    def read(self) -> readings.Lines:
        """Its lines."""
        return readings.plain(self.pulse, self.head())

    def head(self) -> Line:
        """The first line of every gauge."""
        return readings.head(self.title, self.pulse, self._now)

    def render_line(self, y: int) -> Strip:
        """One line, cut at the width."""
        line = self.read()[y] if y < readings.LINES else ()
        segments = [Segment(self._ink.text(part), self._ink.of(part.style)) for part in line]
        return Strip(segments).adjust_cell_length(self.size.width, self._ink.of(""))


class PostgresGauge(Gauge):
    """A PostgreSQL server: a bar of its connections, statements, their mean time, its phase."""

    title = "PostgreSQL"

    def read(self) -> readings.Lines:
        """Its lines."""
        return readings.postgres(self.pulse, self.head())


class RedisGauge(Gauge):
    """A Redis or Valkey server: a bar of its memory, hits, commands, its phase."""

    title = "Redis"

    def read(self) -> readings.Lines:
        """Its lines."""
        return readings.redis_(self.pulse, self.head())


class QdrantGauge(Gauge):
    """A Qdrant server: vectors, collections, searches, their mean time, its phase."""

    title = "Qdrant"

    def read(self) -> readings.Lines:
        """Its lines."""
        return readings.qdrant_(self.pulse, self.head())


class BicameralCoherencyBar(Gauge):
    """A table and a vector collection that should agree: how far they do, and what differs in the sample."""

    title = "Coherency"

    def read(self) -> readings.Lines:
        """Its lines."""
        return readings.bicameral(self.pulse, self.head())


GAUGES: Final[Mapping[str, type[Gauge]]] = {
    "postgres": PostgresGauge, "postgresql": PostgresGauge, "redis": RedisGauge, "valkey": RedisGauge,
    "qdrant": QdrantGauge, "coherency": BicameralCoherencyBar,
}  # fmt: skip
"""`backend` of a pulse → its gauge."""


class DBMetricsPanel(ScrollableContainer):
    """Gauges of all databases, in as many columns as fit."""

    DEFAULT_CSS: ClassVar[str] = f"""
    DBMetricsPanel {{ layout: grid; grid-rows: {readings.LINES}; grid-gutter: 1 2; height: 1fr; width: 1fr; }}
    DBMetricsPanel > Static {{ height: {readings.LINES}; }}
    """

    def __init__(self, *, ink: Ink | None = None, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._ink = ink or Ink(DARK)
        self._gauges: dict[Ref, Gauge] = {}
        self._note = Static("", markup=False)

    def show(self, pulses: Iterable[DatabasePulse], now: datetime | None = None) -> None:
        """Show these databases, in the order of their names; none: says so."""
        listed = sorted(pulses, key=lambda pulse: (pulse.backend, pulse.ref))
        left_out = len(listed) - GAUGES_MAX
        shown = {pulse.ref: pulse for pulse in listed[:GAUGES_MAX]}
        for ref in self._gauges.keys() - shown.keys():
            _ = self._gauges.pop(ref).remove()
        fresh = [ref for ref in shown if ref not in self._gauges]
        for ref in fresh:
            self._gauges[ref] = GAUGES.get(shown[ref].backend, Gauge)(shown[ref], ink=self._ink)
        if fresh:
            _ = self.mount(*(self._gauges[ref] for ref in fresh), before=self._note)
            order = {self._gauges[ref]: at for at, ref in enumerate(shown)}
            self.sort_children(key=lambda child: order.get(child, GAUGES_MAX))  # type: ignore[call-overload]
        for ref, pulse in shown.items():
            self._gauges[ref].pulse = pulse
            self._gauges[ref].at(now)
        more = f"and {left_out:,} more; see `kgents top databases`" if left_out > 0 else ""
        self._note.update(more if shown else "no database has reported yet; see `kgents doctor`")
        self._note.display = bool(more) or not shown

    def compose(self) -> Iterable[Widget]:
        """The line that says what is not shown."""
        yield self._note

    def on_resize(self, _: events.Resize) -> None:
        """As many columns as fit."""
        self.styles.grid_size_columns = max(1, min(COLUMNS_MAX, self.size.width // COLUMN_MIN))

    def redraw(self) -> None:
        """Draw again: the theme is another one."""
        for each in self._gauges.values():
            each.refresh()
