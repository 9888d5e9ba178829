"""The description of a dashboard → its JSON, as Grafana 10 and newer import it."""

from collections.abc import Iterator
from typing import Any, Final

from observability.panels import Board, Panel

SCHEMA_VERSION: Final = 39
HEIGHT: Final = 8
COLUMNS: Final = 24
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def dashboard(board: Board) -> dict[str, Any]:
    """The whole document; the same description gives the same bytes."""
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": ["kgents"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "links": [
            {"type": "dashboards", "title": "kgents", "tags": ["kgents"], "asDropdown": True, "targetBlank": False}
        ],
        "panels": list(_panels(board)),
    }


def _variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1},
        {
            "name": "cluster",
            "label": "Cluster",
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": "label_values(kgents_health_status, cluster)", "refId": "cluster"},
            "definition": "label_values(kgents_health_status, cluster)",
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        },
    ]


def _panels(board: Board) -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for row in board.rows:
        number += 1
        at = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": at, "panels": []}
        x, y = 0, y + 1
        for panel in row.panels:
            number += 1
            if x + panel.width > COLUMNS:
                x, y = 0, y + HEIGHT
            yield _panel(number, panel, {"h": HEIGHT, "w": panel.width, "x": x, "y": y})
            x += panel.width
        y += HEIGHT


def _panel(number: int, panel: Panel, at: dict[str, int]) -> dict[str, Any]:
    steps = [{"color": colour, "value": value} for colour, value in panel.steps]
    target: dict[str, Any] = {
        "refId": "A",
        "datasource": SOURCE,
        "expr": panel.query,
        "legendFormat": panel.legend or "__auto",
    }
    if panel.kind != "timeseries":
        target["instant"] = True
    if panel.kind == "table":
        target["format"] = "table"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": at,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "thresholds": {"mode": "absolute", "steps": steps},
                # A gap is a gap: a line over it would show what no one measured.
                "custom": {"spanNulls": False} if panel.kind == "timeseries" else {},
            },
            "overrides": [],
        },
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}} if panel.kind == "stat" else {},
        "targets": [target],
    }
