"""Recordings as `kgents record` writes them, of clusters that there never were."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import structs

from kgents_shared.contract import subjects
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.meta import HEARTBEAT_INTERVAL_S, Heartbeat
from kgents_shared.contract.recording import MADE, PUBLISHED, STATE, Encoder, Row
from kgents_shared.contract.topology import TopologyEntity
from support.build import connect_to, make_entity
from support.grouping import subject_of

BEGAN = datetime(2026, 6, 1, 12, tzinfo=UTC)
CLUSTER = "prod"
ROWS_OF_MEMBER = 200
Made = TopologyEntity | Alert
Said = tuple[float, Entity]
"""So many seconds after the beginning; before it, it is state."""


def write(
    file: Path, said: Iterable[Said], lasts_s: float, made: Iterable[tuple[float, Made]] = (), cluster: str = CLUSTER
) -> None:
    """A recording of what one collector said, and that it was alive throughout; and of what was made of it."""
    rows = [_row(at_s, each.ref.subject("entity", source=each.source), encode(each)) for at_s, each in said]
    made = list(made)
    rows += [_row(at_s, subject_of(each), encode(each)) for at_s, each in made]
    beats = [_beat(number * HEARTBEAT_INTERVAL_S, cluster) for number in range(-1, int(lasts_s / HEARTBEAT_INTERVAL_S))]
    rows = sorted([*rows, *beats], key=lambda each: each.at_us)
    encoder = Encoder()
    with file.open("wb") as out:
        out.write(encoder.begin([cluster], BEGAN, "test", MADE if made else ()))
        for begin in range(0, len(rows), ROWS_OF_MEMBER):
            out.write(encoder.member(rows[begin : begin + ROWS_OF_MEMBER]))
        out.write(encoder.end())


def _row(at_s: float, subject: str, body: bytes) -> Row:
    return Row(round(at_s * 1e6), STATE if at_s < 0 else PUBLISHED, 1, subject, None, body)


def _beat(at_s: float, cluster: str) -> Row:
    began = BEGAN - timedelta(days=1)
    beat = Heartbeat("observes", "collector-k8s", "one", "1", began, "in_sync", source="k8s")
    return _row(at_s, subjects.build("meta", cluster=cluster, service="collector-k8s", instance="one"), encode(beat))


# A cluster


def pod(name: str, *connections: Connection, namespace: str = "shop", status: str = "running") -> Entity:
    ref = Ref(CLUSTER, "pod", name, namespace)
    return make_entity(name, ref=ref, status=status, connections=list(connections))


def node(name: str, status: str = "running", reason: str = "") -> Entity:
    return make_entity(name, ref=Ref(CLUSTER, "node", name, ""), status=status, reason=reason)


def failed(entity: Entity, reason: str = "Error") -> Entity:
    return structs.replace(entity, status="failed", reason=reason)


def large(pods: int, of_node: int = 50) -> list[Entity]:
    """Pods over nodes."""
    nodes = [node(f"n{number}") for number in range(pods // of_node)]
    return [
        *nodes,
        *(pod(f"p{number}", connect_to(nodes[number % len(nodes)].ref, "runs_on")) for number in range(pods)),
    ]


def at_once(entities: Sequence[Entity], at_s: float, within_s: float = 1.0) -> list[Said]:
    """One after the other within some time."""
    return [(at_s + within_s * place / max(1, len(entities)), each) for place, each in enumerate(entities)]
