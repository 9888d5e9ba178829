"""Databases with their phase, connections and what they do. Pure."""

from typing import Final

from kgents_cli.ui.cells import gauge
from kgents_cli.ui.columns import Cell
from kgents_cli.ui.item import RANK
from kgents_cli.ui.rows.known import Known
from kgents_cli.ui.rows.row import Row, columns
from kgents_cli.units import NOT_KNOWN, figure
from kgents_shared.contract.figures import figures
from kgents_shared.contract.pulse import DatabasePulse
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import database, redis
from kgents_shared.view.entity import EntityView

KINDS: Final = (kinds.DATABASE, kinds.COMPARISON)
COLUMNS: Final = columns(
    ("HEALTH", 15, 0, 0),
    ("TYPE", 10, 0, 4),
    ("NAME", 18, 3, 0),
    ("PHASE", 20, 2, 0),
    ("IN USE", 17, 0, 2),
    ("WORK", 10, 0, 3),
    ("WHY", 12, 4, 5),
)
_WORK: Final = (f"performance.{database.QPS}", f"performance.{redis.OPS_PER_SECOND}")


def rows(known: Known) -> dict[str, Row]:
    """All of them, the worst first."""
    return {view.key: _row(view, known) for view in known.views}


def _row(view: EntityView, known: Known) -> Row:
    pulse = known.pulses.get(view.ref)
    found = pulse if isinstance(pulse, DatabasePulse) else None
    phase, used = NOT_KNOWN, None
    if found is not None:
        phase = f"{found.phase} ({found.cause})" if found.cause else found.phase
        used = next((part.utilization for part in (found.pool, found.memory) if part is not None), None)
    values = figures(pulse)
    work = next((figure(name, value) for name in _WORK if (value := values.get(name)) is not None), NOT_KNOWN)
    score = "" if view.score is None or view.level == "healthy" else f" {view.score:.2f}"
    cells = (
        Cell(f"{view.level}{score}", view.level, view.level),
        Cell(found.backend if found is not None else NOT_KNOWN, "dim"),
        Cell(view.ref.name, "bold", is_name=True),
        Cell(phase),
        Cell(gauge(used, 10) if used is not None else "not known"),
        Cell(work, "dim"),
        Cell(view.why),
    )
    order = (RANK.get(view.level, 2), view.score if view.score is not None else 1.0, view.key)
    fields = {"kind": view.ref.kind, "level": view.level, "cluster": view.ref.cluster}
    return Row(key=view.key, order=order, cells=cells, ref=view.ref, entity=view.key, fields=fields)
