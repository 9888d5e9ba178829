"""`kgents ui`: source → world → screens. Ticks draw what has changed, keys draw at once."""

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import ClassVar, Final

from textual import events
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from kgents_cli.ui.backdrop import Backdrop, Beside
from kgents_cli.ui.bars import Bar
from kgents_cli.ui.commanding import ACTIONS, obey, offered
from kgents_cli.ui.deciding import Deciding
from kgents_cli.ui.describing import Describing
from kgents_cli.ui.filling import Filling
from kgents_cli.ui.frame import Frame
from kgents_cli.ui.help import help_lines
from kgents_cli.ui.ink import Ink
from kgents_cli.ui.item import Item
from kgents_cli.ui.kept import Kept
from kgents_cli.ui.palette import DARK, PALETTES, Palette
from kgents_cli.ui.pane import Pane
from kgents_cli.ui.prompt import Prompt
from kgents_cli.ui.rows.row import Row
from kgents_cli.ui.screens import NAMES
from kgents_cli.ui.source.source import Source
from kgents_cli.ui.table import Table
from kgents_cli.ui.terminal import is_writable, tick_s
from kgents_cli.ui.themes import after, theme_of
from kgents_cli.ui.travelling import Travelling
from kgents_cli.ui.widgets import DBMetricsPanel
from kgents_cli.ui.world import World
from kgents_shared.view.find import path_of

HOLD_S: Final = 1.0
"""For so long after a key no row moves under the cursor."""
WIDE_FROM: Final = 120
"""From so many columns on there is room for a description beside the list."""


class Dashboard(App[int]):
    """The terminal dashboard."""

    ENABLE_COMMAND_PALETTE = True
    AUTO_FOCUS = "Table"
    CSS = """
    Screen { layout: vertical; }
    #main { height: 1fr; }
    Pane { display: none; }
    .described #described { display: block; width: 2fr; }
    .described Table { width: 3fr; }
    .described.narrow Table { display: none; }
    .helped #help { display: block; }
    .helped Table { display: none; }
    .helped #described { display: none; }
    #gauges { height: auto; max-height: 60%; display: none; }
    .gauged #gauges { display: block; }
    #gauges.none { display: none; }
    .helped #gauges { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, action, show=False) for key, action in ACTIONS.items()]

    def __init__(
        self, source: Source, *, palette: Palette = DARK, is_ascii: bool = False, kept: Kept | None = None
    ) -> None:
        """`kept`: what the last one left; what this one leaves is in it."""
        self.kept = kept or Kept()
        self.ink = Ink(palette, is_ascii=is_ascii)
        super().__init__(ansi_color=True if palette.is_plain else None)
        self.source = source
        self.world = World()
        self.skipped = 0
        """Ticks that were not drawn because the terminal took nothing."""
        self.skipped_now = 0
        """Of these, in a row until now."""
        self._stalled = ExitStack()
        self._is_suspended = False
        self._held_until_s = 0.0

    async def on_event(self, event: events.Event) -> None:
        """A key of a list or a text acts at once: its way through all widgets takes longer than what it does."""
        if isinstance(event, events.Key) and event.key in ACTIONS and isinstance(self.focused, Table | Pane):
            await self.run_action(ACTIONS[event.key])
        else:
            await super().on_event(event)

    def get_default_screen(self) -> Screen[None]:
        """What is behind everything."""
        return Backdrop(id="_default")

    def compose(self) -> ComposeResult:
        """The parts of the screen, from top to bottom."""
        self.table = Table(self.ink, self.source.now)
        self.pane = Pane(self.ink, id="described")
        self.help_pane = Pane(self.ink, id="help")
        self.frame = Frame(self.ink, self.source, self.world)
        self.prompt = Prompt(self.ink)
        self.gauges = DBMetricsPanel(ink=self.ink, id="gauges")
        self.filling = Filling(self.source, self.world, self.table, self.gauges)
        self.travelling = Travelling(self.source, self.filling, self.world)
        self.describing = Describing(self.source, self.travelling, self.pane, self.ink)
        self.deciding = Deciding(self.source, self.filling, self)
        yield self.frame.header
        yield self.frame.tabs
        with Beside(id="main"):
            yield self.table
            yield self.pane
            yield self.help_pane
        yield self.gauges
        yield self.prompt
        yield self.frame.footer

    def on_mount(self) -> None:
        """Begin to read and to draw."""
        for each in PALETTES.values():
            self.register_theme(theme_of(each))
        self.theme = self.ink.palette.name
        self.filling.restore(self.kept)
        self.set_class(self.filling.place.has_gauges, "gauged")
        self.app_suspend_signal.subscribe(self, lambda _: self._note_suspended(is_suspended=True))
        self.app_resume_signal.subscribe(self, lambda _: self._note_suspended(is_suspended=False))
        self.run_worker(self.source.run(self.world), name="source")
        self.run_worker(self.filling.ask(), name="ask")
        self.set_interval(tick_s(), self._tick)
        self._bars()

    def _tick(self) -> None:
        """Draw what has changed, if the terminal takes it."""
        if self._is_suspended:
            return
        if not self.is_headless and not is_writable():
            if not self.skipped_now:  # from now on keys draw nothing either
                self._stalled.enter_context(self.batch_update())
            self.skipped, self.skipped_now = self.skipped + 1, self.skipped_now + 1
            return
        if self.skipped_now:
            self.skipped_now = 0
            self._stalled.close()
            self._draw_all()
        now_s = time.monotonic()
        self.frame.note(now_s)
        if now_s >= self._held_until_s and self.describing.key in self.filling.take():
            self._describe_again()
        self._bars()
        self.table.grow_older()

    def _bars(self) -> None:
        """The lines at the top and bottom."""
        is_held = time.monotonic() < self._held_until_s
        self.frame.show(self.filling, self.travelling.text, width=self.size.width, is_held=is_held)

    @property
    def selected(self) -> Item | Row | None:
        """The selected row."""
        found: Item | Row | None = self.table.window.selected
        return found

    def action_move(self, by: int) -> None:
        """Select another row, or scroll the text that is open."""
        self._moving(lambda pane: pane.scroll_lines(by), lambda: self.table.move(by))

    def action_page(self, pages: int) -> None:
        """The same by pages."""
        self._moving(lambda pane: pane.scroll_lines(pages * pane.size.height), lambda: self.table.page(pages))

    def action_top(self) -> None:
        """Back to the first row."""
        self._moving(lambda pane: pane.scroll_lines(-1_000_000), self.table.top)

    def action_bottom(self) -> None:
        """The last row."""
        self._moving(lambda pane: pane.scroll_lines(1_000_000), self.table.bottom)

    def _moving(self, scroll: Callable[[Pane], None], select: Callable[[], None]) -> None:
        if self.has_class("helped"):
            scroll(self.help_pane)
        elif self.focused is self.pane:
            scroll(self.pane)
        else:
            self._held_until_s = time.monotonic() + HOLD_S
            select()

    def action_switch(self) -> None:
        """Between the list and the description, or the gauges."""
        if self.has_class("gauged") and not self.has_class("described"):
            self.set_focus(self.table if self.focused is self.gauges else self.gauges)
        elif self.has_class("described") and not self.has_class("narrow"):
            self.set_focus(self.table if self.focused is self.pane else self.pane)

    def action_screen(self, name: str) -> None:
        """Another screen."""
        if self.describing.key is not None:
            self._close_description()
        self.remove_class("helped")
        self.filling.show(NAMES[name])
        self.set_class(NAMES[name].has_gauges, "gauged")
        self._bars()

    def action_theme(self) -> None:
        """The next theme."""
        self.use_palette(after(self.ink.palette))

    def use_palette(self, palette: Palette) -> None:
        """Draw with another theme."""
        self.ink.use(palette)
        self.theme = palette.name
        for pane in (self.pane, self.help_pane):
            pane.redraw()
        self.gauges.redraw()
        for each in (self.table, self.frame.header, self.frame.tabs, self.frame.footer, self.prompt.label):
            each.refresh()

    def action_order(self) -> None:
        """The next order of entities."""
        self.say(self.filling.next_order())

    def action_filter(self) -> None:
        """Ask for a filter."""
        self.prompt.ask(" / ", self.filling.filter_text, lambda _: self._close_prompt(), self.use_filter)

    def action_command(self) -> None:
        """Ask for a command."""
        self.ask(" : ", "", lambda text: obey(self, text.strip()))

    def ask(self, label: str, text: str, submit: Callable[[str], None]) -> None:
        """Ask for a line; Esc leaves it."""

        def submitted(answer: str) -> None:
            self._close_prompt()
            submit(answer)

        self.prompt.ask(label, text, submitted)

    def say(self, text: str) -> None:
        """Report something that no row shows."""
        self.frame.say(text)
        self._bars()

    def _close_prompt(self) -> None:
        self.prompt.close()
        self.set_focus(self.table)

    def use_filter(self, text: str) -> None:
        """Show only what passes."""
        self.filling.filter(text)
        self._bars()
        self._describe_again()

    def action_close(self) -> None:
        """Close what is open, from the last to the first; then the filter."""
        if self.prompt.is_open:
            if self.prompt.is_changing:
                self.use_filter("")
            self._close_prompt()
        elif self.has_class("helped"):
            self.remove_class("helped")
        elif self.describing.key is not None:
            self._close_description()
        elif self.filling.filter_text:
            self.use_filter("")

    def action_help(self) -> None:
        """Show or hide the keys."""
        self.toggle_class("helped")
        self.help_pane.show([*help_lines(self.world, skipped=self.skipped)])

    def action_copy(self) -> None:
        """Copy the name of what is selected to the clipboard of the terminal."""
        if self.selected is not None and self.selected.ref is not None:
            self.copy_to_clipboard(path_of(self.selected.ref))
            self.say(f"copied {path_of(self.selected.ref)}")

    def action_travel(self, seconds: float) -> None:
        """Earlier or later."""
        self.travelling.step(seconds)
        self._bars()

    def action_time(self) -> None:
        """Ask for a time."""
        self.ask(" as it was at (-10m, 2026-11-21T09:00:00Z, now): ", "", self._travel_to)

    def _travel_to(self, text: str) -> None:
        if wrong := self.travelling.typed(text):
            self.say(wrong)
        self._bars()

    def action_live(self) -> None:
        """Back to now."""
        self.travelling.go_live()
        self._bars()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the command palette offers: every key, and every screen."""
        del screen
        for text, shown, action in offered():
            yield SystemCommand(text, shown, partial(self.run_action, f"app.{action}"))

    def action_acknowledge(self) -> None:
        """Say that someone takes care of the selected incident."""
        self.deciding.acknowledge(self.selected)

    def action_silence(self) -> None:
        """Let alerts of what is selected notify no one for a time."""
        self.deciding.silence(self.selected)

    def action_enter(self) -> None:
        """Go where the chosen line of the description leads; open or close a node of the tree; elsewhere describe."""
        if self.describing.key is not None and self.describing.follow():
            return
        if self.filling.place.is_tree and self.selected is not None and self.describing.key is None:
            self.filling.toggle(self.table.window.key or "")
            self._bars()
        else:
            self.action_describe()

    def action_describe(self) -> None:
        """Describe what is selected; the same key closes it."""
        if self.describing.key is not None:
            self._close_description()
        elif self.selected is not None and self.selected.ref is not None:
            self.add_class("described")
            self._narrow()
            self._describe_selected()

    def action_choose(self, by: int) -> None:
        """Choose another connected entity in the description."""
        if self.describing.key is not None:
            self.pane.choose(by)

    def action_return(self) -> None:
        """Back from where a connection has led."""
        self.describing.back()

    def on_pane_followed(self, event: Pane.Followed) -> None:
        """A connection was clicked."""
        self.describing.go(event.to)

    def on_table_opened(self) -> None:
        """A second click."""
        if self.describing.key is None:
            self.action_enter()

    def on_table_chosen(self) -> None:
        """Another row is selected."""
        self._describe_selected()

    def on_bar_clicked(self, event: Bar.Clicked) -> None:
        """A part of a bar stands for an action."""
        self.run_worker(self.run_action(event.action))

    def on_resize(self) -> None:
        """The description is beside the list, or instead of it."""
        self._narrow()
        self._bars()

    def _narrow(self) -> None:
        self.set_class(self.size.width < WIDE_FROM, "narrow")
        if self.has_class("described") and self.has_class("narrow"):
            self.set_focus(self.pane)

    def _close_description(self) -> None:
        self.describing.close()
        self.remove_class("described")
        self.set_focus(self.table)

    def _describe_selected(self) -> None:
        selected = self.selected
        if self.has_class("described") and selected is not None and selected.ref is not None:
            self.describing.begin(selected.entity, selected.ref)

    def _describe_again(self) -> None:
        if self.describing.is_elsewhere:
            self.describing.again()
        else:
            self._describe_selected()

    def _note_suspended(self, *, is_suspended: bool) -> None:
        self._is_suspended = is_suspended
        if not is_suspended:
            self._draw_all()

    def _draw_all(self) -> None:
        """The terminal shows what others have written meanwhile, or has missed something."""
        self.screen.refresh(layout=True)
        self.refresh(repaint=True)

    def on_unmount(self) -> None:
        """Nothing of it goes on."""
        self.describing.close()
        self.filling.keep(self.kept)
        self.kept.theme = "" if self.ink.palette.is_plain else self.ink.palette.name
