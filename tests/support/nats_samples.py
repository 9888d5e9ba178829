"""What real servers answered (tests/data/collector_nats), as samples to change and to map."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from kgents_collector_nats.mapping import observe
from kgents_collector_nats.mapping.caps import Caps
from kgents_collector_nats.sample import Connz, Healthz, Jsz, Sample, Server, Varz
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.pulse import ResourcePulse
from support.vocabulary import declared
from support.with_unread import with_unread

DATA = Path(__file__).parents[1] / "data" / "collector_nats"
AT = datetime(2026, 11, 21, 9, 40, tzinfo=UTC)
CAPS = Caps(nats_stream=50, nats_consumer=50, nats_client=50, nats_subject=50)

Raw = dict[str, Any]


def single() -> Raw:
    """One server: streams ORDERS (a durable with two filters, one with one, an ephemeral) and its mirror MIRR in
    account APP; client `shop/cart-1` in APP and one without a name in DEF."""
    found: Raw = json.loads((DATA / "single.json").read_text())
    return found


def cluster() -> list[Raw]:
    """Three servers n1, n2, n3: stream R3 (durable d) has a copy on each, R1 on one of them only."""
    found: list[Raw] = json.loads((DATA / "cluster.json").read_text())
    return found


def advisories() -> list[Raw]:
    found: list[Raw] = json.loads((DATA / "advisories.json").read_text())
    return found


def moved_on(raw: Raw, seconds: float = 10.0) -> Raw:
    """The same answers, given that much later."""
    later: Raw = json.loads(json.dumps(raw))
    for endpoint in ("varz", "connz", "jsz"):
        now = datetime.fromisoformat(later[endpoint]["now"][:26] + "+00:00") + timedelta(seconds=seconds)
        later[endpoint]["now"] = now.isoformat()
    return later


def stream(raw: Raw, name: str, account: int = 0) -> Raw:
    details: list[Raw] = raw["jsz"]["account_details"][account]["stream_detail"]
    return next(each for each in details if each["name"] == name)


def consumer(raw: Raw, stream_name: str, name: str) -> Raw:
    details: list[Raw] = stream(raw, stream_name)["consumer_detail"]
    return next(each for each in details if each["name"] == name)


def sample(*raws: Raw | None, at: datetime = AT, expected: int | None = None) -> Sample:
    """A None among the answers, or a whole server that is None, was not read."""
    servers = tuple(_server(index, raw) for index, raw in enumerate(raws))
    return Sample(at, servers, expected=len(raws) if expected is None else expected)


def _server(index: int, raw: Raw | None) -> Server:
    raw = raw or {}

    def part(endpoint: str, type_: Any) -> Any:
        return msgspec.convert(raw[endpoint], type_, strict=False) if raw.get(endpoint) is not None else None

    return Server(
        f"http://127.0.0.1:{8222 + index}",
        part("varz", Varz),
        part("connz", Connz),
        part("jsz", Jsz),
        part("healthz", Healthz),
    )


def mapped(
    current: Sample,
    previous: Sample | None = None,
    *,
    caps: Caps = CAPS,
    heartbeats: Mapping[str, Heartbeat] | None = None,
    published: Facts | None = None,
) -> Facts:
    """The facts, with what stays published because it was not read."""
    rows = {entity.ref: entity for entity in published.entities} if published is not None else {}
    facts = observe(
        previous,
        current,
        cluster="test",
        interval_s=5.0,
        caps=caps,
        heartbeats=heartbeats or {},
        published=rows,
        traffic_since=previous,
    )
    return declared(structs.replace(facts, entities=with_unread(facts.entities, rows.values(), facts.unread)))


look = mapped


def named(facts: Facts, kind: str, name: str) -> Entity:
    return next(entity for entity in facts.entities if (entity.ref.kind, entity.ref.name) == (kind, name))


def pulse(facts: Facts, kind: str, name: str) -> ResourcePulse:
    found = next(pulse for pulse in facts.pulses if (pulse.ref.kind, pulse.ref.name) == (kind, name))
    assert isinstance(found, ResourcePulse)
    return found


def refs(facts: Facts, kind: str) -> set[Ref]:
    return {entity.ref for entity in facts.entities if entity.ref.kind == kind}


def names(facts: Facts, kind: str) -> set[str]:
    return {ref.name for ref in refs(facts, kind)}


def edges(entity: Entity) -> set[tuple[str, str, str]]:
    return {(each.kind, each.direction, str(each.peer)) for each in entity.connections}


def edge(entity: Entity, kind: str, peer: str) -> Connection:
    return next(each for each in entity.connections if (each.kind, str(each.peer)) == (kind, peer))
