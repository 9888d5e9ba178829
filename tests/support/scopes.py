"""Identities and what each of them may see, and a system in which whatever is seen of it names a place.

Each place (a cluster and a namespace) has entities that are called after it, connected with those of all other places,
and named in their sentences. So an answer that holds the name of a place shows something of it.
"""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Aggregate
from kgents_shared.contract.incident import Affected, Decided, Incident, IncidentReason, Moment, Root
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.pulse import DatabasePulse, EdgeSample, Pulse, ResourcePulse, TrafficPulse
from kgents_shared.contract.silence import Matcher, Silence
from kgents_shared.contract.tokens import Token, digest_of
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from support.build import NOW
from support.decisions import make_silence, stored
from support.gateway import EVENTS, Running, SseReader, caught_up
from support.incidents import make_incident
from support.running import running
from support.state import edge, make_alert, make_event, make_health, make_topology, publish
from support.waiting import eventually

PLACES: Final = {
    "eastshop": ("east", "shop"),
    "eastbank": ("east", "bank"),
    "eastnode": ("east", ""),
    "westshop": ("west", "shop"),
    "westbank": ("west", "bank"),
    "westnode": ("west", ""),
}
"""What entities are called → where they are."""
ALL: Final = frozenset(PLACES)
TABLE: Final[dict[str, tuple[Token, frozenset[str]]]] = {
    name: (Token(name, digest_of(name), clusters, namespaces), frozenset(sees.split()))
    for name, clusters, namespaces, sees in (
        ("all", (), (), " ".join(PLACES)),
        ("east", ("east",), (), "eastshop eastbank eastnode"),
        ("e-star", ("e*",), (), "eastshop eastbank eastnode"),
        ("shop", (), ("shop",), "eastshop westshop"),
        ("east-shop", ("east",), ("shop",), "eastshop"),
        ("east-shop-nodes", ("east",), ("shop", ""), "eastshop eastnode"),
        ("two", ("east", "west"), ("bank",), "eastbank westbank"),
        ("nowhere", ("north",), (), ""),
        ("not-a-prefix", ("eas",), ("sho",), ""),
    )
}
"""Identity → its token, and the places that it sees."""
WRITER: Final = Token("writer", digest_of("writer"), may=("alert:write",))
DECIDING: Final = tuple(
    Token(f"{name}.w", digest_of(f"{name}.w"), token.clusters, token.namespaces, ("read", "alert:write"))
    for name, (token, _) in TABLE.items()
)
"""The same who may also decide."""
BASE: Final = (*(token for token, _ in TABLE.values()), WRITER, *DECIDING)


def pod(place: str) -> Ref:
    cluster, namespace = PLACES[place]
    return Ref(cluster, "pod" if namespace else "node", f"{place}-1", namespace)


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


def cookie(name: str) -> dict[str, str]:
    """As a browser sends it that logged in with a token."""
    return {"cookie": f"kgents={name}", "sec-fetch-site": "same-origin"}


def write(file: Path, tokens: Iterable[Token] = BASE) -> Path:
    file.write_text("".join(f"{each}\n" for each in tokens))
    return file


def priced(folder: Path) -> str:
    """A file of prices: without one no answer about costs names anything."""
    file = folder / "prices.yaml"
    file.write_text("{name: May, currency: EUR, vcpu_hour: 0.03, gib_hour: 0.004}")
    return str(file)


def places_in(text: str) -> set[str]:
    return set(re.findall("|".join(PLACES), text))


def incident_id(place: str) -> str:
    return f"{list(PLACES).index(place):016x}"


NAMES: Final = " and ".join(pod(each).name for each in PLACES)


def peers(place: str) -> list[ResolvedConnection]:
    return [edge("depends_on", pod(other)) for other in PLACES if other != place]


def state(place: str, status: str) -> TopologyEntity:
    ref = pod(place)
    why: dict[str, Any] = {"peers": [NAMES], "why": NAMES}
    return make_topology(ref=ref, text=f"{ref} needs {NAMES}", status=status, connections=peers(place), attributes=why)


def incident(place: str, **fields: Any) -> Incident:
    """One that a place causes, and that affects all others of its cluster; its sentences name everything."""
    ref = pod(place)
    others = [pod(each) for each in PLACES if PLACES[each][0] == ref.cluster]
    found = {
        "text": f"{ref}: {NAMES}", "title": f"{ref}: {NAMES}", "id": incident_id(place),
        "root": Root(ref=ref, check="KG-041", why=f"it explains {NAMES}"),
        "parent": next(incident_id(each) for each in PLACES if each != place and PLACES[each][0] == ref.cluster),
        "affected": [Affected(ref=each, severity="critical", checks=["KG-041"]) for each in others],
        "affected_count": len(others),
        "affected_by_kind": {"pod": 2, "node": 1},
        "reasons": [IncidentReason(text=f"{each}: {NAMES}", ref=each, check="KG-041") for each in others],
        "timeline": [
            Moment(at=NOW, text=f"{NAMES}."), Moment(at=NOW, text="3 entities are affected."),
            *(silenced(each) for each in PLACES if PLACES[each][0] == ref.cluster),
        ],
        "silenced_by": [f"quiet-{each}" for each in PLACES], "members": [NAMES],
    }  # fmt: skip
    return make_incident(ref=ref, **{**found, **fields})


def silenced(place: str) -> Moment:
    """That the silence of a place began to act."""
    of = silence(place)
    decided = Decided(action="silence", by="ada", silence=of.id, matchers=of.matchers)
    return Moment(at=NOW, text=f"Silenced by {of.id}.", decided=decided)


def silence(place: str) -> Silence:
    """One of a whole namespace, or, where there is none, of everything."""
    cluster, namespace = PLACES[place]
    matcher = Matcher(field="namespace", value=namespace) if namespace else Matcher(field="kind", value="node")
    return make_silence(f"quiet-{place}", cluster=cluster, matchers=[matcher], reason=place)


def pulses(place: str) -> list[Pulse]:
    """What a place uses and whom it calls, and one of a database that is in no topology; their sentences name all."""
    ref, cluster, namespace = pod(place), *PLACES[place]
    of: dict[str, Any] = {"timestamp": datetime.now(UTC), "interval_s": 5, "text": f"{ref}: {NAMES}"}
    others: list[Ref | str] = [*map(pod, PLACES), NAMES]
    called = [EdgeSample(peer=each, kind="http", n=1, spans=1) for each in others]
    database = Ref(cluster, "database", f"{place}-orders", namespace)
    return [
        ResourcePulse(ref=ref, source="k8s", cpu_percent=3.0, memory_bytes=7, **of),
        TrafficPulse(ref=ref, source="otel", edges=called, custom={"requests_per_sec": 1.0}, **of),
        DatabasePulse(ref=database, source="db", backend="postgres", phase="healthy", **of),
    ]


async def filled(bus: Bus, gateway: Running) -> None:
    """The streams hold every place, and the gateway has read them."""
    await fill(bus)
    await caught_up(bus, gateway)
    await eventually(lambda: len(gateway.gateway.incidents.all()) == len(PLACES))
    await eventually(lambda: len(gateway.gateway.incidents.silences()) == len(PLACES))


async def fill(bus: Bus) -> None:
    """Entities of every place with health, alerts, events and figures; each names those of all others."""
    for place in PLACES:
        ref = pod(place)
        await publish(
            bus,
            state(place, "running"),
            make_health(ref=ref, level="critical", text=f"{ref} is critical since {NAMES}"),
            make_alert(ref=ref, text=f"{ref}: {NAMES}"),
            make_event(ref=ref, text=f"{ref}: {NAMES}", message=NAMES),
        )
        for sample in pulses(place):
            await (await bus.session()).request(sample.ref.subject("pulse", source=sample.source), encode(sample))
        await stored(bus, incident(place), silence(place))
        of: dict[str, Any] = {"cluster": ref.cluster, "incident": incident_id(place), "text": NAMES}
        await stored(bus, Notice(receiver="ops", delivered=1, delivered_state="open", **of))
    for cluster in ("east", "west"):
        ref = Ref(cluster, "cluster", cluster)
        await publish(bus, make_health(ref=ref, level="critical", aggregate=Aggregate("critical", {})))


@asynccontextmanager
async def following(
    gateway: Running, headers: dict[str, str], path: str, last_id: str = "", **params: Any
) -> AsyncIterator[SseReader]:
    reader = SseReader()
    async with (
        httpx.AsyncClient(base_url=gateway.server.address, headers=headers, timeout=30) as client,
        running(reader.run(client, path, last_id=last_id, params=params)),
    ):
        await eventually(lambda: reader.is_ready or (path == EVENTS and "hello" in reader.names))
        yield reader
