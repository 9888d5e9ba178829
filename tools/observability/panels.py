"""How a panel is described: a title, a query, how it is drawn. Queries name figures, so a renamed one fails here."""

from typing import Final

from msgspec import Struct

from kgents_shared.contract.vocabulary.figures import FIGURES
from kgents_shared.contract.vocabulary.figures.metric import METRICS, shown_as

UNITS: Final = {
    "By": "bytes", "MiBy": "bytes", "By/s": "Bps", "s": "s", "ms": "s", "%": "percentunit", "1": "percentunit",
    "{answer}": "bool_yes_no",
}  # fmt: skip
"""UCUM, as figures have it → Grafana's name; a rate of anything is `ops`."""
CLUSTER: Final = 'cluster=~"$cluster"'
"""Every query is for the clusters that are chosen at the top."""
NAMED: Final = "on (job, instance) group_left (service_name) target_info"
"""Gives what a service says of itself the name of the service."""
NEEDS: Final = "Needs `telemetry.figures` with the kinds of these entities where their collector runs."
"""Said of every dashboard that shows single entities."""
_BY_NAME: Final = {shown_as(each): each for each in FIGURES}


class Panel(Struct, frozen=True, kw_only=True):
    """One panel."""

    title: str
    query: str
    legend: str = ""
    """Labels in braces, as Grafana has them."""
    unit: str = "short"
    kind: str = "timeseries"
    """`timeseries`, `stat` or `table`."""
    description: str = ""
    width: int = 8
    """Of the 24 columns of a dashboard."""
    steps: tuple[tuple[str, float | None], ...] = (("green", None),)
    """Colour → from which value on; None: from the beginning."""


class Row(Struct, frozen=True, kw_only=True):
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


class Board(Struct, frozen=True, kw_only=True):
    """One dashboard."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]


def figure(name: str, title: str, *, kind: str, source: str = "", top: int = 0, width: int = 8) -> Panel:
    """A panel of one figure, a line for each entity.

    Args:
        name: as `figures` has it: `pool.active`.
        title: of the panel.
        kind: of the entities.
        source: of the collector, where several measure it.
        top: show only so many entities, those with the largest values; 0: all.
        width: in columns.
    """
    known, metric = _BY_NAME[name], METRICS[name]
    selector = ", ".join([CLUSTER, f'kind="{kind}"', *([f'source="{source}"'] if source else [])])
    query = f"{metric.name}{{{selector}}}"
    return Panel(
        title=title,
        query=f"topk({top}, {query})" if top else query,
        legend="{{namespace}}/{{name}}",
        unit="short"
        if metric.name.endswith("_cores")
        else UNITS.get(known.unit) or ("ops" if known.unit.endswith("/s") else "short"),
        description=known.meaning,
        width=width,
    )


def _unit(name: str, ucum: str) -> str:
    if name.endswith("_cores"):
        return "short"
    return UNITS.get(ucum) or ("ops" if ucum.endswith("/s") else "short")
