"""The world → the parts of the line at the top: how many entities are how well, and whether this is now. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from kgents_cli.ui.palette import LEVELS
from kgents_cli.ui.part import Part
from kgents_cli.ui.world import LIVE, World

_CLUSTERS_MAX: Final = 3


def left_parts(world: World, source: str) -> Iterator[Part]:
    """Where, how many, how well."""
    clusters = world.named_clusters()
    more = f" +{len(clusters) - _CLUSTERS_MAX}" if len(clusters) > _CLUSTERS_MAX else ""
    yield Part(" kgents ", "title")
    yield Part(f"{' '.join(clusters[:_CLUSTERS_MAX])}{more} ", "bold")
    for level in LEVELS:
        if (count := world.levels[level]) or level == "healthy":
            yield Part(f"{count:,} ", level, level)
    if world.left_out:
        yield Part(f"+{world.left_out:,} not held ", "warning")
    for what in world.faults:
        yield Part(f"{what}: not read ", "warning")
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
