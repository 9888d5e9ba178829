"""The screens as data: what the table of each lists, and what has to be asked for it. Pure."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from kgents_cli.ui.columns import ENTITIES, Column, cluster_column
from kgents_cli.ui.rows import alerts, databases, events, nats, pipeline, topology
from kgents_cli.ui.rows.known import Known
from kgents_cli.ui.rows.row import Row
from kgents_cli.ui.world import World


class Screen(msgspec.Struct, frozen=True):
    """One screen."""

    name: str
    title: str
    columns: Sequence[Column]
    empty: str
    rows: Callable[[Known], dict[str, Row]] | None = None
    """None: the entities themselves, of which only changes are taken."""
    kinds: Sequence[str] = ()
    """The kinds of entities of which it shows the last figures."""
    shows_pipeline: bool = False
    is_tree: bool = False
    is_of_clusters: bool = True
    """Whether each row is of one cluster that it does not name by itself."""
    has_gauges: bool = False
    """Whether gauges of the last figures stand below the table."""


ENTITIES_SCREEN: Final = Screen("entities", "Entities", ENTITIES, "no entity is published yet; see `kgents doctor`")
SCREENS: Final = (
    ENTITIES_SCREEN,
    Screen(
        "topology",
        "Topology",
        topology.COLUMNS,
        ENTITIES_SCREEN.empty,
        topology.rows,
        is_tree=True,
        is_of_clusters=False,
    ),
    Screen(
        "nats",
        "NATS",
        nats.COLUMNS,
        "no server of NATS is observed; see `kgents run collector-nats --help`",
        nats.rows,
        nats.KINDS,
    ),
    Screen(
        "databases",
        "Databases",
        databases.COLUMNS,
        "no database is observed; see `kgents run collector-db --help`",
        databases.rows,
        databases.KINDS,
        has_gauges=True,
    ),
    Screen("alerts", "Alerts", alerts.COLUMNS, "no incident and no alert", alerts.rows),
    Screen("events", "Events", events.COLUMNS, "no event is stored", events.rows),
    Screen(
        "pipeline",
        "Pipeline",
        pipeline.COLUMNS,
        "no service reports; see `kgents doctor`",
        pipeline.rows,
        shows_pipeline=True,
        is_of_clusters=False,
    ),
)
NAMES: Final = {each.name: each for each in SCREENS}


def columns_of(screen: Screen, world: World) -> tuple[Column, ...]:
    """Its columns; the cluster is one only where there are several."""
    names = tuple(world.named_clusters())
    has_cluster = screen.is_of_clusters and len(names) > 1
    return (cluster_column(names), *screen.columns) if has_cluster else tuple(screen.columns)
