"""The screens as data: name → what its table shows, and what stands there when there is nothing. Pure."""

from collections.abc import Sequence
from typing import Final

import msgspec

from kgents_cli.ui.columns import CLUSTER, ENTITIES, Column
from kgents_cli.ui.world import World


class Screen(msgspec.Struct, frozen=True):
    """One screen."""

    name: str
    title: str
    columns: Sequence[Column]
    empty: str


SCREENS: Final = (Screen("entities", "Entities", ENTITIES, "no entity is published yet; see `kgents doctor`"),)
NAMES: Final = {each.name: each for each in SCREENS}


def columns_of(screen: Screen, world: World) -> tuple[Column, ...]:
    """Its columns; the cluster is one only where there are several."""
    return (CLUSTER, *screen.columns) if len(world.named_clusters()) > 1 else tuple(screen.columns)
