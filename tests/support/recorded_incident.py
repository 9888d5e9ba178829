"""Recordings that tests make: a small shop whose database refuses connections for a minute.

`python tests/support/recorded_incident.py` writes again what the services make of it: read that, it is the test.
"""

import io
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from kgents_cli.recorded.offline import folded
from kgents_cli.sentence import record_of
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.meta import Heartbeat, Lease
from kgents_shared.contract.pulse import DatabasePulse, Pool, Pulse, ResourcePulse
from kgents_shared.contract.recording import PUBLISHED, STATE, Encoder, Row
from kgents_shared.contract.vocabulary.figures import postgres
from kgents_shared.contract.wire import Wire

STARTED: Final = datetime(2026, 1, 1, tzinfo=UTC)
GOLDEN: Final = Path(__file__).parents[1] / "data" / "recorded" / "incident.jsonl"
CLUSTER: Final = "prod"
DATABASE: Final = Ref(CLUSTER, "database", "orders")
POD: Final = Ref(CLUSTER, "pod", "cart-7f", "shop")
LENGTH_S: Final = 180


def written(rows: Iterable[Row]) -> bytes:
    """The file."""
    encoder = Encoder()
    return b"".join([encoder.begin([CLUSTER], STARTED, "test"), encoder.member(list(rows)), encoder.end()])


def write(file: Path, rows: Iterable[Row]) -> Path:
    file.write_bytes(written(rows))
    return file


def stored(subject: str, message: Wire, at_s: float) -> Row:
    """A message as it is recorded; before the beginning it is state."""
    signal = subject.split(".")[1]
    is_state = at_s < 0 and signal in ("entity", "meta")
    return Row(round(at_s * 1e6), STATE if is_state else PUBLISHED, 0, subject, None, encode(message))


def entity(at_s: float, ref: Ref, source: str, status: str = "running", **fields: object) -> Row:
    message = Entity(ref=ref, source=source, status=status, **fields)  # type: ignore[arg-type]
    return stored(ref.subject("entity", source=source), message, at_s)


def beat(at_s: float, source: str) -> Row:
    service = f"collector-{source}"
    message = Heartbeat("in sync", service, "one", "1", STARTED, "in_sync", source=source)
    return stored(subjects.build("meta", cluster=CLUSTER, service=service, instance="one"), message, at_s)


def pulse(at_s: float, message: Pulse) -> Row:
    return stored(message.ref.subject("pulse", source=message.source), message, at_s)


def _database(at_s: float, active: int) -> Row:
    return pulse(
        at_s,
        DatabasePulse(
            ref=DATABASE,
            source="db",
            backend="postgres",
            timestamp=STARTED + timedelta(seconds=at_s),
            interval_s=10,
            phase="healthy",
            pool=Pool(active=active, idle=0, waiting=0, max=100, utilization=active / 100),
            custom={postgres.CONNECTIONS_RATIO: active / 100},
        ),
    )


def _pod(at_s: float) -> Row:
    timestamp = STARTED + timedelta(seconds=at_s)
    return pulse(at_s, ResourcePulse(ref=POD, source="k8s", timestamp=timestamp, interval_s=10, cpu_percent=3.0))


def incident() -> list[Row]:
    """Three minutes: from 0:40 till 1:50 the database is full, from 0:55 till 2:00 a pod that needs it is not ready."""
    return sorted(_incident(), key=lambda each: each.at_us)


def _incident() -> Iterator[Row]:
    depends = [Connection(kind="depends", peer="db.shop.svc:5432", evidence="test")]
    lease = Lease("held", "one", STARTED)
    yield stored(subjects.build("meta", cluster=CLUSTER, service="collector-db", instance="lease"), lease, -2.5)
    yield entity(
        *(-3600, DATABASE, "db"), addresses=["db.shop.svc:5432"], attributes={"db.system.name": "postgresql"}, uid="d1"
    )
    yield entity(-1800, POD, "k8s", uid="p1", connections=depends, labels={"app": "cart"})
    yield from (beat(at_s + 0.2, source) for at_s in range(-5, LENGTH_S, 5) for source in ("db", "k8s"))
    yield from (_database(at_s + 0.5, 100 if 40 <= at_s < 110 else 20) for at_s in range(0, LENGTH_S, 10))
    yield from (_pod(at_s + 0.6) for at_s in range(0, LENGTH_S, 10))
    yield entity(55, POD, "k8s", "pending", reason="NotReady", uid="p1", connections=depends, labels={"app": "cart"})
    at = STARTED + timedelta(seconds=55)
    event = Event("not ready", "e1", POD, "k8s", "Warning", "Unhealthy", "warning", at, at, message="refused by orders")
    yield stored(POD.subject("event", source="k8s"), event, 55.1)
    yield entity(120, POD, "k8s", uid="p1", connections=depends, labels={"app": "cart"})


def without_counts(lines: bytes) -> bytes:
    """Without how many checks there are, which each new check changes."""
    return re.sub(rb'"(evaluated|applicable)":\d+,?', b"", lines)


def judged(rows: Iterable[Row], *, until_s: float | None = None) -> bytes:
    """What the services would publish of it, a line for each message."""
    return b"".join(record_of(each) + b"\n" for each in folded(rows, STARTED, until_s=until_s))


def opened(content: bytes) -> io.BytesIO:
    return io.BytesIO(content)


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_bytes(without_counts(judged(incident())))
