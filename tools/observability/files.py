"""Path under deploy/observability → the text that belongs there."""

import json
from collections.abc import Callable
from functools import partial
from typing import Final

from observability import rules
from observability.boards import BOARDS
from observability.grafana import dashboard
from observability.panels import Board


def _json(board: Board) -> str:
    return json.dumps(dashboard(board), indent=2, ensure_ascii=False) + "\n"


FILES: Final[dict[str, Callable[[], str]]] = {
    "prometheus/rules.yml": rules.document,
    **{f"grafana/dashboards/{board.uid.removeprefix('kgents-')}.json": partial(_json, board) for board in BOARDS},
}
