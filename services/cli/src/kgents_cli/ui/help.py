"""What `?` shows: every key, the marks, and what went wrong. Pure."""

from collections.abc import Iterator

from kgents_cli.ui.keys import KEYS
from kgents_cli.ui.palette import LEVELS
from kgents_cli.ui.part import Line, Part
from kgents_cli.ui.world import World


def help_lines(world: World, *, skipped: int) -> Iterator[Line]:
    """The lines. `skipped`: pictures that were not drawn."""
    yield (Part("Keys", "title"),)
    for each in KEYS:
        yield (Part(f"  {each.shown:<10}", "accent"), Part(each.text))
    yield ()
    yield (Part("Commands ", "title"), Part("entities topology nats databases alerts events pipeline, a kind (:pods),"))
    yield (Part("         "), Part("cluster NAME, all, theme NAME, quit"))
    yield (Part("Mouse    ", "title"), Part("a click selects, a second one describes, one on a connection goes there;"))
    yield (Part("         "), Part("Shift with drag selects text"))
    yield (Part("Levels   ", "title"), *(Part(f"{each} ", each, each) for each in LEVELS))
    yield (Part("Skipped  ", "title"), Part(f"{skipped} pictures, because the terminal took nothing"))
    for what, why in world.faults.items():
        yield (Part(f"{what}: ", "warning"), Part(why))
