"""What happened, the newest first. Pure."""

from typing import Final

from kgents_cli.ui.columns import Cell
from kgents_cli.ui.rows.known import Known
from kgents_cli.ui.rows.row import Row, columns
from kgents_shared.contract.event import Event
from kgents_shared.view.entity import key_of_ref

COLUMNS: Final = columns(
    ("LEVEL", 10, 0, 0), ("REASON", 16, 1, 3), ("ENTITY", 20, 2, 0), ("TEXT", 25, 5, 1), has_age=True
)
_LEVELS: Final = {"info": "healthy", "warning": "warning", "error": "critical", "critical": "critical"}


def rows(known: Known) -> dict[str, Row]:
    """The last ones; one that is reported again counts once."""
    return {each.id: _row(each) for each in known.world.events}


def _row(each: Event) -> Row:
    level = _LEVELS.get(each.severity, "unknown")
    count = f" ({each.count}×)" if each.count > 1 else ""
    cells = (
        Cell(each.severity, level, level),
        Cell(each.reason),
        Cell(str(each.ref), is_name=True),
        Cell(f"{each.text}{count}"),
    )
    fields = {"level": level, "kind": each.ref.kind, "ns": each.ref.namespace, "cluster": each.ref.cluster}
    return Row(
        key=each.id,
        order=(-each.last_at.timestamp(), each.id),
        cells=cells,
        at=each.last_at,
        ref=each.ref,
        entity=key_of_ref(each.ref),
        fields=fields,
    )
