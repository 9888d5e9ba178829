"""`kgents ui`: source → world → screens. Ticks draw what has changed, keys draw at once."""

import time
from collections import deque
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.theme import Theme
from textual.widgets import Input

from kgents_cli.ui.bars import Bar
from kgents_cli.ui.describing import Describing
from kgents_cli.ui.filter import passes
from kgents_cli.ui.header import left_parts, right_parts
from kgents_cli.ui.ink import Ink
from kgents_cli.ui.keys import KEYS
from kgents_cli.ui.palette import DARK, PALETTES, PLAIN, Palette
from kgents_cli.ui.pane import Pane
from kgents_cli.ui.part import Line, Part
from kgents_cli.ui.screens import NAMES, SCREENS, Screen, columns_of
from kgents_cli.ui.source.source import Source
from kgents_cli.ui.table import Table
from kgents_cli.ui.terminal import is_writable
from kgents_cli.ui.world import World
from kgents_shared.contract.vocabulary.kinds import KINDS
from kgents_shared.view.find import path_of
from kgents_shared.view.selection import kind_named

TICK_S: Final = 0.2
HOLD_S: Final = 1.0
"""For so long after a key no row moves under the cursor."""
WIDE_FROM: Final = 120
"""From so many columns on there is room for a description beside the list."""
RATE_TICKS: Final = 25

QUIT: Final = frozenset({"q", "quit", "exit"})


class Dashboard(App[int]):
    """The terminal dashboard."""

    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = "Table"
    CSS = """
    Screen { layout: vertical; }
    #main { height: 1fr; }
    #prompt { height: 1; border: none; padding: 0; display: none; }
    #prompt.open { display: block; }
    Pane { display: none; }
    .described #described { display: block; width: 2fr; }
    .described Table { width: 3fr; }
    .described.narrow Table { display: none; }
    .helped #help { display: block; }
    .helped Table { display: none; }
    .helped #described { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding(each.keys, each.action, each.text, show=False) for each in KEYS]

    def __init__(self, source: Source, *, palette: Palette = DARK, is_ascii: bool = False) -> None:
        self.ink = Ink(palette, is_ascii=is_ascii)
        super().__init__(ansi_color=True if palette.is_plain else None)
        self.source = source
        self.world = World()
        self.place: Screen = SCREENS[0]
        self.filter_text = ""
        self.skipped = 0
        """Ticks that were not drawn because the terminal took nothing."""
        self._is_suspended = False
        self._held_until_s = 0.0
        self._rates: deque[tuple[float, int]] = deque(maxlen=RATE_TICKS)
        self._shown_version = -1
        self._prompting = ""

    def compose(self) -> ComposeResult:
        """The parts of the screen, from top to bottom."""
        self.table = Table(self.ink, self.source.now)
        self.pane = Pane(self.ink, id="described")
        self.describing = Describing(self.source, self.pane, self.ink)
        self.help_pane = Pane(self.ink, id="help")
        self.header = Bar(self.ink, id="header")
        self.tabs = Bar(self.ink, id="tabs")
        self.footer = Bar(self.ink, id="footer")
        self.prompt = Input(id="prompt", compact=True, select_on_focus=False)
        yield self.header
        yield self.tabs
        with Horizontal(id="main"):
            yield self.table
            yield self.pane
            yield self.help_pane
        yield self.prompt
        yield self.footer

    def on_mount(self) -> None:
        """Begin to read and to draw."""
        for each in PALETTES.values():
            self.register_theme(theme_of(each))
        self.theme = self.ink.palette.name
        self.table.show(columns_of(self.place, self.world))
        self.prompt.cursor_blink = False
        self.app_suspend_signal.subscribe(self, lambda _: self._note_suspended(is_suspended=True))
        self.app_resume_signal.subscribe(self, lambda _: self._note_suspended(is_suspended=False))
        self.run_worker(self.source.run(self.world), name="source", exit_on_error=True)
        self.set_interval(TICK_S, self._tick)
        self._bars()

    def _tick(self) -> None:
        """Draw what has changed, if the terminal takes it."""
        if self._is_suspended:
            return
        if not self.is_headless and not is_writable():
            self.skipped += 1
            return
        now_s = time.monotonic()
        self._rates.append((now_s, self.world.changes))
        if now_s >= self._held_until_s:
            self._take()
        self._bars()

    def _take(self) -> None:
        if self.world.pending:
            changes = self.world.take_pending()
            self.table.take(changes.items())
            self.table.show(columns_of(self.place, self.world))
            if self.describing.key in changes:
                self._describe_again()
        if self._shown_version != self.world.version:
            self._shown_version = self.world.version
            self.table.empty_text = self._empty_text()
            if not len(self.table.window.listing):
                self.table.refresh()

    def _empty_text(self) -> str:
        if not self.world.is_complete:
            return "reading …"
        if self.filter_text and self.table.window.listing.items:
            return f"none of {len(self.table.window.listing.items):,} passes the filter; Esc clears it"
        return self.place.empty

    def _bars(self) -> None:
        """The lines at the top and bottom."""
        now_s = time.monotonic()
        waiting = len(self.world.pending) if now_s < self._held_until_s else 0
        right = right_parts(self.world, self.source.now(), now_s, per_s=self._per_s(), waiting=waiting)
        self.header.show([*left_parts(self.world, self.source.name)], [*right])
        tabs = [
            Part(f" {number} {each.title} ", "cursor" if each is self.place else "")
            for number, each in enumerate(SCREENS, 1)
        ]
        listing = self.table.window.listing
        shown = f"{len(listing):,} of {len(listing.items):,} " if self.filter_text else f"{len(listing):,} "
        filtered = [Part(f"/{self.filter_text}  ", "accent")] if self.filter_text else []
        self.tabs.show(tabs, [*filtered, Part(shown, "dim")], [f"app.screen('{each.name}')" for each in SCREENS])
        hints = [(Part(f" {each.shown} ", "accent"), Part(each.short, "dim")) for each in KEYS if each.short]
        actions = [action for each in KEYS if each.short for action in (f"app.{each.action}",) * 2]
        self.footer.show([part for pair in hints for part in pair], actions=actions)

    def _per_s(self) -> float:
        if not self._rates:
            return 0.0
        (first_s, first), (last_s, last) = self._rates[0], self._rates[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0

    def _hold(self) -> None:
        self._held_until_s = time.monotonic() + HOLD_S

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

    def _moving(self, pane: Any, table: Any) -> None:
        if self.has_class("helped"):
            pane(self.help_pane)
        elif self.focused is self.pane:
            pane(self.pane)
        else:
            self._hold()
            table()

    def action_switch(self) -> None:
        """Between the list and the description."""
        if self.has_class("described") and not self.has_class("narrow"):
            self.set_focus(self.table if self.focused is self.pane else self.pane)

    def action_screen(self, name: str) -> None:
        """Another screen."""
        self.place = NAMES[name]
        self._bars()

    def action_theme(self) -> None:
        """The next theme."""
        names = [each for each in PALETTES if each != PLAIN.name or self.ink.palette.is_plain]
        if not self.ink.palette.is_plain:
            self.use_palette(PALETTES[names[(names.index(self.ink.palette.name) + 1) % len(names)]])

    def use_palette(self, palette: Palette) -> None:
        """Draw with another theme."""
        self.ink.use(palette)
        self.theme = palette.name
        self.pane.redraw()
        self.help_pane.redraw()
        self.refresh(layout=True)
        for each in (self.table, self.header, self.tabs, self.footer):
            each.refresh()

    def action_filter(self) -> None:
        """Ask for a filter."""
        self._ask("/", self.filter_text)

    def action_command(self) -> None:
        """Ask for a command."""
        self._ask(":", "")

    def _ask(self, sign: str, text: str) -> None:
        self._prompting = sign
        self.prompt.value = text
        self.prompt.add_class("open")
        self.prompt.cursor_position = len(text)
        self.set_focus(self.prompt)

    def on_input_changed(self, event: Input.Changed) -> None:
        """A filter acts while it is typed."""
        if self._prompting == "/":
            self.use_filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take what was typed."""
        sign = self._prompting
        self._close_prompt()
        if sign == ":":
            self.command(event.value.strip())

    def _close_prompt(self) -> None:
        self._prompting = ""
        self.prompt.remove_class("open")
        self.set_focus(self.table)

    def use_filter(self, text: str) -> None:
        """Show only what passes."""
        self.filter_text = text
        self.table.window.filter(passes(text))
        self.table.empty_text = self._empty_text()
        self.table.refresh()
        self._bars()
        self._describe_again()

    def command(self, text: str) -> None:
        """What was typed behind the colon: a screen, a kind, a theme, quit."""
        word, _, rest = text.partition(" ")
        kind = kind_named(word)
        if word in QUIT:
            self.exit(0)
        elif word in NAMES:
            self.action_screen(word)
        elif word == "theme" and rest in PALETTES:
            self.use_palette(PALETTES[rest])
        elif word == "all":
            self.use_filter("")
        elif kind in KINDS or any(each.ref.kind == kind for each in self.world.items.values()):
            self.use_filter(" ".join(filter(None, (f"kind:{kind}", rest))))
        elif word:
            self._say(f"no screen or kind {word!r}; screens: {', '.join(NAMES)}; kinds: :pods, :nodes, …")

    def _say(self, text: str) -> None:
        self.notify(text, timeout=6, markup=False)

    def action_close(self) -> None:
        """Close what is open, from the last to the first; then the filter."""
        if self._prompting:
            if self._prompting == "/":
                self.use_filter("")
            self._close_prompt()
        elif self.has_class("helped"):
            self.remove_class("helped")
        elif self.describing.key is not None:
            self._close_description()
        elif self.filter_text:
            self.use_filter("")

    def action_help(self) -> None:
        """Show or hide the keys."""
        self.toggle_class("helped")
        self.help_pane.show([*self._help()])

    def _help(self) -> Iterable[Line]:
        yield (Part("Keys", "title"),)
        for each in KEYS:
            yield (Part(f"  {each.shown:<10}", "accent"), Part(each.text))
        yield ()
        yield (Part("Mouse: ", "dim"), Part("click selects, a second click describes; Shift with drag selects text"))
        yield (Part("Levels: ", "dim"), *(Part(f"{each} ", each, each) for each in self.ink.palette.levels or ()))
        yield (Part("Not drawn: ", "dim"), Part(f"{self.skipped} pictures, while the terminal took nothing"))
        for what, why in self.world.faults.items():
            yield (Part(f"{what}: ", "warning"), Part(why))

    def action_copy(self) -> None:
        """Copy the name of what is selected to the clipboard of the terminal."""
        item = self.table.window.selected
        if item is not None:
            self.copy_to_clipboard(path_of(item.ref))
            self._say(f"copied {path_of(item.ref)}")

    def action_describe(self) -> None:
        """Describe what is selected; the same key closes it."""
        if self.describing.key is not None:
            self._close_description()
        elif self.table.window.selected is not None:
            self.add_class("described")
            self._narrow()
            self._describe_again()

    def on_table_opened(self) -> None:
        """A second click."""
        if self.describing.key is None:
            self.action_describe()

    def on_table_chosen(self) -> None:
        """Another row is selected."""
        self._hold()
        if self.describing.key is not None:
            self._describe_again()

    def on_bar_clicked(self, event: Bar.Clicked) -> None:
        """A part of a bar stands for an action."""
        self.run_worker(self.run_action(event.action))

    def on_resize(self) -> None:
        """The description is beside the list, or instead of it."""
        self._narrow()

    def _narrow(self) -> None:
        self.set_class(self.size.width < WIDE_FROM, "narrow")
        if self.has_class("described") and self.has_class("narrow"):
            self.set_focus(self.pane)

    def _close_description(self) -> None:
        self.describing.close()
        self.remove_class("described")
        self.set_focus(self.table)

    def _describe_again(self) -> None:
        if self.has_class("described"):
            self.describing.show(self.table.window.selected)

    def _note_suspended(self, *, is_suspended: bool) -> None:
        self._is_suspended = is_suspended
        if not is_suspended:  # the terminal shows what others have written meanwhile
            self.screen.refresh(layout=True)
            self.refresh(repaint=True)

    def on_unmount(self) -> None:
        """Nothing of it goes on."""
        self.describing.close()


def theme_of(palette: Palette) -> Theme:
    """A palette for the few widgets of Textual's own: the prompt, notifications."""
    if palette.is_plain:
        return Theme(name=palette.name, primary="ansi_default", background="ansi_default", foreground="ansi_default",
                     surface="ansi_default", panel="ansi_default", dark=True)  # fmt: skip
    return Theme(
        name=palette.name, primary=palette.accent, background=palette.background, foreground=palette.text,
        surface=palette.bar, panel=palette.bar, warning=palette.levels["warning"], error=palette.levels["critical"],
        success=palette.levels["healthy"], dark=palette.is_dark,
    )  # fmt: skip


def palette_of(name: str | None, *, is_plain: bool) -> Palette:
    """The theme that is asked for; without colours there is one only."""
    if is_plain:
        return PLAIN
    return PALETTES.get(name or "", DARK)
