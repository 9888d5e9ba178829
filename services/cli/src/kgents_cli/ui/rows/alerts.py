"""Incidents, the alerts that are pending or firing, and silences: what is open first. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from kgents_cli.ui.columns import Cell
from kgents_cli.ui.item import RANK
from kgents_cli.ui.rows.known import Known
from kgents_cli.ui.rows.row import Row, columns
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.decision import written
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.silence import Silence
from kgents_shared.view.entity import key_of_ref
from kgents_shared.view.moment import span

COLUMNS: Final = columns(
    ("LEVEL", 10, 0, 0), ("WHAT", 9, 0, 3), ("STATE", 22, 1, 0), ("ENTITY", 20, 2, 4), ("WHY", 24, 5, 1), has_age=True
)
_STATES: Final = {"open": 0, "firing": 0, "acknowledged": 1, "pending": 2, "resolved": 4}
_INCIDENT, _ALERT, _SILENCE = range(3)


def rows(known: Known) -> dict[str, Row]:
    """All of them."""
    found = {
        subject: _incident(subject, each, known.deciding.get(subject, ""))
        for subject, each in known.world.incidents.items()
    }
    found |= {row.key: row for row in _alerts(known)}
    found |= {
        subject: _silence(subject, each, known.now)
        for subject, each in known.world.silences.items()
        if each.ends_at > known.now
    }
    return found


def _incident(subject: str, each: Incident, deciding: str) -> Row:
    state = deciding or each.state
    if each.acknowledged is not None and not deciding:
        state = f"acknowledged by {each.acknowledged.by}"
    if each.silenced_by:
        state += ", silenced"
    level = "healthy" if each.state == "resolved" else each.severity
    why = f"{each.title}: {each.affected_count} affected" if each.affected_count else each.title
    order = (_INCIDENT, _STATES.get(each.state, 3), RANK.get(each.severity, 2), -each.started_at.timestamp(), subject)
    cells = (
        Cell(level, level, level),
        Cell("incident", "accent"),
        Cell(state),
        Cell(str(each.root.ref), is_name=True),
        Cell(why),
    )
    fields = {"level": level, "state": each.state, "cluster": each.cluster, "kind": each.root.ref.kind}
    return Row(
        key=subject,
        order=order,
        cells=cells,
        at=each.started_at,
        ref=each.root.ref,
        entity=key_of_ref(each.root.ref),
        fields=fields,
    )


def _alerts(known: Known) -> Iterator[Row]:
    for item in known.world.items.values():
        for each in item.alerts:
            yield _alert(item.key, each)


def _alert(entity: str, each: Alert) -> Row:
    level = each.severity
    began = each.started_at.timestamp() if each.started_at is not None else 0.0
    key = f"{entity}.{each.check}"
    order = (_ALERT, _STATES.get(each.state, 3), RANK.get(level, 2), -began, key)
    cells = (
        Cell(level, level, level),
        Cell("alert", "dim"),
        Cell(f"{each.state} {each.check}"),
        Cell(str(each.ref), is_name=True),
        Cell(each.text),
    )
    fields = {
        "level": level,
        "state": each.state,
        "cluster": each.ref.cluster,
        "kind": each.ref.kind,
        "ns": each.ref.namespace,
        "check": each.check,
    }
    return Row(key=key, order=order, cells=cells, at=each.started_at, ref=each.ref, entity=entity, fields=fields)


def _silence(subject: str, each: Silence, now: datetime) -> Row:
    ends = f"ends in {span((each.ends_at - now).total_seconds())}"
    state = ends if each.starts_at <= now else f"begins in {span((each.starts_at - now).total_seconds())}"
    what = " ".join(map(written, each.matchers))
    cells = (
        Cell("silenced", "dim"),
        Cell("silence", "dim"),
        Cell(state),
        Cell(what),
        Cell(f"{each.by}: {each.reason}"),
    )
    order = (_SILENCE, 0, 0, each.ends_at.timestamp(), subject)
    return Row(key=subject, order=order, cells=cells, at=each.starts_at, fields={"cluster": each.cluster})
