"""The services that observe and publish, what is wrong first; with lag, cost and what they cannot read. Pure."""

from collections.abc import Iterator
from typing import Final

from kgents_cli.ui.clusters import labels
from kgents_cli.ui.columns import Cell
from kgents_cli.ui.rows.known import Known
from kgents_cli.ui.rows.row import Row, columns
from kgents_cli.units import NOT_KNOWN, size
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.runtime.pipeline import Instance, Verdict

CLUSTER_WIDTH: Final = 10
COLUMNS: Final = columns(
    ("LEVEL", 10, 0, 0),
    ("CLUSTER", CLUSTER_WIDTH, 0, 3),
    ("SERVICE", 18, 1, 0),
    ("STATE", 10, 0, 2),
    ("LAG", 7, 0, 4),
    ("COST", 16, 0, 5),
    ("REASON, UNREAD", 20, 5, 1),
)
_LEVELS: Final = {False: "critical", None: "warning", True: "healthy"}
_BADNESS: Final = {False: 0, None: 1, True: 2}


def rows(known: Known) -> dict[str, Row]:
    """Findings that no row of an instance shows, and every instance with a line for each scope that it cannot read."""
    named = labels(tuple({each.cluster: None for each in known.pipeline.instances}), CLUSTER_WIDTH)
    found = {row.key: row for each in known.pipeline.instances for row in _instance(each, named[each.cluster])}
    texts = {each.heartbeat.text for each in known.pipeline.instances if each.heartbeat is not None}
    for each in known.pipeline.findings:
        if not any(text and text in each.text for text in texts):
            row = _finding(each)
            found[row.key] = row
    return found


def _finding(each: Verdict) -> Row:
    level = _LEVELS[each.is_ok]
    text = f"{each.text}; try: {each.next_step}" if each.next_step else each.text
    cells = (Cell(level, level, level), Cell(""), Cell(""), Cell("finding", "accent"), Cell(""), Cell(""), Cell(text))
    return Row(
        key=f"finding {each.text}", order=(_BADNESS[each.is_ok], "", each.text), cells=cells, fields={"level": level}
    )


def _instance(each: Instance, cluster: str) -> Iterator[Row]:
    level = _LEVELS[each.is_ok]
    beat = each.heartbeat
    lag = f"{beat.lag_s:.1f} s" if beat is not None and beat.lag_s is not None else NOT_KNOWN
    why = beat.reason if beat is not None else f"silent for {each.age_s:.0f} s"
    key = f"{each.cluster} {each.service} {each.instance}"
    state = each.state if each.is_alive else "silent" if each.state != "stopped" else each.state
    cells = (
        Cell(level, level, level),
        Cell(cluster),
        Cell(each.service, "bold"),
        Cell(state or "silent"),
        Cell(lag, "dim"),
        Cell(_cost(beat), "dim"),
        Cell(why),
    )
    order = (_BADNESS[each.is_ok], each.service, key)
    fields = {"level": level, "cluster": each.cluster, "state": state}
    yield Row(key=key, order=order, cells=cells, fields=fields)
    for number, scope in enumerate(beat.unread if beat is not None else ()):
        text = f"cannot read {scope}: {scope.reason}"
        cells = (
            Cell("unknown", "unknown", "unknown"),
            Cell(cluster),
            Cell(f"  {each.service}", "dim"),
            Cell("unread"),
            Cell(""),
            Cell(""),
            Cell(text),
        )
        yield Row(key=f"{key} {number}", order=(*order, number), cells=cells, fields=fields)


def _cost(beat: Heartbeat | None) -> str:
    if beat is None or beat.cost is None:
        return NOT_KNOWN
    return f"{beat.cost.cpu_percent:.1f} % {size(beat.cost.memory_bytes)}"
