"""Servers, streams, consumers and clients of NATS with what they hold against their limits. Pure."""

from collections.abc import Mapping
from typing import Final

from kgents_cli.ui.cells import gauge
from kgents_cli.ui.columns import Cell
from kgents_cli.ui.item import RANK
from kgents_cli.ui.rows.known import Known
from kgents_cli.ui.rows.row import Row, columns
from kgents_cli.units import NOT_KNOWN, figure
from kgents_shared.contract.figures import figures
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import nats
from kgents_shared.view.entity import EntityView

KINDS: Final = (kinds.NATS_SERVER, kinds.NATS_STREAM, kinds.NATS_CONSUMER, kinds.NATS_CLIENT)
COLUMNS: Final = columns(
    ("HEALTH", 15, 0, 0),
    ("KIND", 9, 0, 4),
    ("NAME", 20, 3, 0),
    ("HOLDS", 18, 1, 0),
    ("RATE", 10, 0, 3),
    ("OF ITS LIMIT", 17, 0, 2),
    ("WHY", 12, 4, 5),
)
_HOLDS: Final[Mapping[str, tuple[str, str]]] = {
    kinds.NATS_SERVER: (nats.CONNECTIONS, "connections"),
    kinds.NATS_STREAM: (nats.MESSAGES, "messages"),
    kinds.NATS_CONSUMER: (nats.PENDING_MESSAGES, "waiting"),
    kinds.NATS_CLIENT: (nats.SUBSCRIPTIONS, "subscriptions"),
}
_RATES: Final[Mapping[str, str]] = {
    kinds.NATS_SERVER: nats.IN_MSGS_PER_SEC,
    kinds.NATS_STREAM: nats.MESSAGES_PER_SEC,
    kinds.NATS_CONSUMER: nats.DELIVERED_PER_SEC,
    kinds.NATS_CLIENT: nats.IN_MSGS_PER_SEC,
}
_LIMITS: Final[Mapping[str, tuple[str, ...]]] = {
    kinds.NATS_SERVER: (nats.JETSTREAM_STORAGE_RATIO, nats.JETSTREAM_MEMORY_RATIO, nats.CONNECTIONS_RATIO),
    kinds.NATS_STREAM: (nats.BYTES_FILL_RATIO, nats.MESSAGES_FILL_RATIO),
    kinds.NATS_CONSUMER: (nats.ACK_PENDING_RATIO,),
}
"""The shares of limits; the fullest is shown. A limit that is not set has none."""


def rows(known: Known) -> dict[str, Row]:
    """All of them, the worst first."""
    return {view.key: _row(view, figures(known.pulses.get(view.ref))) for view in known.views}


def _row(view: EntityView, values: dict[str, float | None]) -> Row:
    kind = view.ref.kind
    name, noun = _HOLDS[kind]
    held = values.get(name)
    holds = f"{figure(name, held)} {noun}" if held is not None else NOT_KNOWN
    shares = [share for each in _LIMITS.get(kind, ()) if (share := values.get(each)) is not None]
    limit = gauge(max(shares), 10) if shares else "no limit known"
    rate = values.get(_RATES[kind])
    score = "" if view.score is None or view.level == "healthy" else f" {view.score:.2f}"
    cells = (
        Cell(f"{view.level}{score}", view.level, view.level),
        Cell(kind.removeprefix("nats_"), "dim"),
        Cell(view.ref.name, "bold", is_name=True),
        Cell(holds),
        Cell(figure(_RATES[kind], rate), "dim"),
        Cell(limit, "" if shares else "dim"),
        Cell(view.why),
    )
    order = (RANK.get(view.level, 2), view.score if view.score is not None else 1.0, KINDS.index(kind), view.key)
    fields = {"kind": kind, "level": view.level, "cluster": view.ref.cluster}
    return Row(key=view.key, order=order, cells=cells, ref=view.ref, entity=view.key, fields=fields)
