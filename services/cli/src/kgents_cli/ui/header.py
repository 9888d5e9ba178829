"""The parts of the lines at the top and bottom: how many entities are how well, whether this is now, keys. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from kgents_cli.ui.clusters import labels, marks
from kgents_cli.ui.keys import KEYS
from kgents_cli.ui.palette import LEVELS
from kgents_cli.ui.part import Part
from kgents_cli.ui.screens import SCREENS, Screen
from kgents_cli.ui.world import LIVE, World

_CLUSTERS_MAX: Final = 3
_NAME_WIDTH: Final = 16


def left_parts(world: World, source: str) -> Iterator[Part]:
    """How many are how well, and what is not known of that, wherever room ends; then where."""
    yield Part(" kgents ", "title")
    for level in LEVELS:
        if (count := world.levels[level]) or level == "healthy":
            yield Part(f"{count:,} ", level, level)
    if world.left_out:
        yield Part(f"+{world.left_out:,} not held ", "warning")
    for what in world.faults:
        yield Part(f"{what}: not read ", "warning")
    clusters = tuple(world.named_clusters())
    for name in clusters[:_CLUSTERS_MAX]:
        yield Part(f"{labels(clusters, _NAME_WIDTH)[name]} ", of := marks(clusters)[name], of)
    if (more := len(clusters) - _CLUSTERS_MAX) > 0:
        yield Part(f"+{more} ", "bold")
    yield Part(source, "dim")


def right_parts(
    world: World, now: datetime, now_s: float, *, per_s: float, waiting: int, past: str = ""
) -> Iterator[Part]:
    """Whether it is live, and since when not. `past`: what is said of the past time that is shown."""
    if past:
        yield Part(f"{past} ", "warning")
        yield Part("L: live ", "dim")
        return
    if waiting:
        yield Part(f"{waiting} new ", "accent")
    connection = world.connection
    if connection.is_live:
        if connection is LIVE:
            yield Part(f"{per_s:.0f}/s ", "dim")
        yield Part(f"{connection.text.upper()} ", "healthy")
        yield Part(f"{now.astimezone():%H:%M:%S} ", "dim")
    elif not connection.since_s:
        yield Part(f"{connection.text.upper()} … ", "warning")
    else:
        yield Part(f"{connection.text.upper()} {max(0.0, now_s - connection.since_s):.0f} s ", "critical")


def tab_parts(shown: Screen, *, is_wide: bool) -> Iterator[Part]:
    """The screens by their numbers; where there is no room, only the shown one by its name."""
    for number, each in enumerate(SCREENS, 1):
        name = f" {each.title}" if is_wide or each is shown else ""
        yield Part(f" {number}{name} ", "cursor" if each is shown else "")


def hint_parts() -> Iterator[Part]:
    """The keys that the last line names."""
    for each in KEYS:
        if each.short:
            yield Part(f" {each.shown} ", "accent")
            yield Part(each.short, "dim")


def hint_actions() -> list[str]:
    """What a click on each of these parts does."""
    return [action for each in KEYS if each.short for action in (f"app.{each.action}",) * 2]
