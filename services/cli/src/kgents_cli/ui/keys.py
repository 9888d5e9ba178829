"""Every key, once: what it does, its line in the help, and whether the footer names it. Pure."""

from typing import Final

import msgspec


class Key(msgspec.Struct, frozen=True):
    """What a key does."""

    keys: str
    """Textual's names of the keys, separated by commas."""
    shown: str
    action: str
    """Textual's action of the app."""
    text: str
    short: str = ""
    """In the footer; empty: not there."""


KEYS: Final = (
    Key("", "1 … 7", "", "the screens, as the line at the top numbers them"),
    Key("question_mark", "?", "help", "this help", "help"),
    Key("slash", "/", "filter", "filter: words that must occur, kind:pod, ns:shop, level:critical, !word", "filter"),
    Key("o", "o", "order", "entities: the worst first, the newest first, or by name"),
    Key("colon", ":", "command", "command: a screen, or a kind such as :pods", "command"),
    Key("d", "d", "describe", "describe what is selected: why, figures, connections, events", "describe"),
    Key("enter,space", "Enter", "enter", "open or close a branch of the tree; elsewhere the same as d"),
    Key("n", "n", "choose(1)", "in the description: the next connected entity; Enter goes there"),
    Key("N", "N", "choose(-1)", "the one before"),
    Key("b,backspace", "b", "return", "back to the entity that was described before"),
    Key("a", "a", "acknowledge", "acknowledge the selected incident", "ack"),
    Key("s", "s", "silence", "silence the alerts of what is selected, for a time and with a reason", "silence"),
    Key("escape", "Esc", "close", "close what is open, then clear the filter"),
    Key("j,down", "j ↓", "move(1)", "down"),
    Key("k,up", "k ↑", "move(-1)", "up"),
    Key("pagedown,ctrl+f", "PgDn", "page(1)", "a page down"),
    Key("pageup,ctrl+b", "PgUp", "page(-1)", "a page up"),
    Key("g,home", "g Home", "top", "back to the first; the list moves with it from then on"),
    Key("G,end", "G End", "bottom", "the last row"),
    Key("tab", "Tab", "switch", "move between the list and the description, or the gauges"),
    Key("left_square_bracket", "[", "travel(-10)", "10 s earlier"),
    Key("right_square_bracket", "]", "travel(10)", "10 s later"),
    Key("left_curly_bracket", "{", "travel(-600)", "10 min earlier"),
    Key("right_curly_bracket", "}", "travel(600)", "10 min later"),
    Key("t", "t", "time", "to a time: -10m, or 2026-11-21T09:00:00Z", "time"),
    Key("L", "L", "live", "back to now"),
    Key("y", "y", "copy", "copy the name of the selected entity"),
    Key("T", "T", "theme", "the next theme; one is for colour-blind people"),
    Key("ctrl+z", "Ctrl-Z", "suspend_process", "suspend; `fg` brings it back"),
    Key("ctrl+p", "Ctrl-P", "command_palette", "all of these by name"),
    Key("q,ctrl+c", "q", "quit", "quit", "quit"),
)
