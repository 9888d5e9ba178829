"""What can be asked of the dashboard: by a key, in the palette, or behind the colon (a screen, a kind, quit)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kgents_cli.ui.keys import KEYS
from kgents_cli.ui.palette import PALETTES
from kgents_cli.ui.screens import ENTITIES_SCREEN, NAMES, SCREENS
from kgents_shared.contract.vocabulary.kinds import KINDS
from kgents_shared.view.selection import kind_named

if TYPE_CHECKING:
    from kgents_cli.ui.app import Dashboard

ACTIONS: Final = {key: each.action for each in KEYS for key in each.keys.split(",") if key} | {
    str(number): f"screen('{each.name}')" for number, each in enumerate(SCREENS, 1)
}
"""Key → Textual's action of the app, where nothing is typed."""
QUIT: Final = frozenset({"q", "quit", "exit"})


def offered() -> Iterator[tuple[str, str, str]]:
    """Every screen and every key for the palette: its text, what is shown beside it, its action."""
    for place in SCREENS:
        yield place.title, "screen", f"screen('{place.name}')"
    for each in KEYS:
        if each.action and each.action != "command_palette":
            yield each.text, f"key {each.shown}", each.action


def obey(app: "Dashboard", text: str) -> None:
    """Do it, or say what would be understood."""
    word, _, rest = text.partition(" ")
    kind = kind_named(word)
    if word in QUIT:
        app.exit(0)
    elif word in NAMES:
        app.action_screen(word)
    elif word == "theme" and rest in PALETTES:
        app.use_palette(PALETTES[rest])
    elif word == "all":
        _filtered(app, "")
    elif word == "cluster" and rest:
        _filtered(app, f"cluster:{rest}")
    elif kind in KINDS or any(each.ref.kind == kind for each in app.filling.world.items.values()):
        _filtered(app, " ".join(filter(None, (f"kind:{kind}", rest))))
    elif word:
        app.say(f"no screen or kind {word!r}; screens: {', '.join(NAMES)}; kinds: :pods, :nodes, …")


def _filtered(app: "Dashboard", text: str) -> None:
    app.action_screen(ENTITIES_SCREEN.name)
    app.use_filter(text)
