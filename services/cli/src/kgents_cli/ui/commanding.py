"""What is typed behind the colon: a screen, a kind, a cluster, a theme, quit."""

from typing import TYPE_CHECKING, Final

from kgents_cli.ui.palette import PALETTES
from kgents_cli.ui.screens import ENTITIES_SCREEN, NAMES
from kgents_shared.contract.vocabulary.kinds import KINDS
from kgents_shared.view.selection import kind_named

if TYPE_CHECKING:
    from kgents_cli.ui.app import Dashboard

QUIT: Final = frozenset({"q", "quit", "exit"})


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
