"""Topology, health and alert messages as their writers publish them, and a way to put them on the stream."""

from typing import Any

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.health import Health, Reason
from kgents_shared.contract.streams import StreamsConfig
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from support.build import NOW, make_ref
from support.streams import provision_streams

Message = TopologyEntity | Health | Alert
SCORES = {"healthy": 1.0, "warning": 0.6, "critical": 0.2, "unknown": 0.5}


def make_topology(name: str = "cart-7f", *, status: str = "running", **fields: Any) -> TopologyEntity:
    ref = fields.pop("ref", None) or make_ref(name)
    text = f"{ref} appeared: {status}"
    return TopologyEntity(**{"text": text, "ref": ref, "status": status, "sources": ["k8s"], **fields})


def make_health(name: str = "cart-7f", *, level: str = "healthy", **fields: Any) -> Health:
    ref = fields.pop("ref", None) or make_ref(name)
    reasons = [] if level == "healthy" else [Reason("KG-001", f"{ref} is not ready", 1 - SCORES[level])]
    score = SCORES[level]
    found = {"text": f"{ref} is {level}", "ref": ref, "score": score, "level": level, "reasons": reasons, **fields}
    return Health(**found)


def make_alert(name: str = "cart-7f", *, check: str = "KG-001", state: str = "firing", **fields: Any) -> Alert:
    ref = fields.pop("ref", None) or make_ref(name)
    text = f"{ref}: {check} {state}"
    return Alert(**{"text": text, "ref": ref, "check": check, "state": state, "severity": "critical", **fields})


def edge(kind: str, peer: Ref, direction: str = "out") -> ResolvedConnection:
    return ResolvedConnection(kind=kind, peer=peer, direction=direction, evidence="test", source="k8s")


def subject_of(message: Message | Event) -> str:
    match message:
        case Event():
            return message.ref.subject("event", source=message.source)
        case TopologyEntity():
            return message.ref.subject("topology")
        case Health():
            return message.ref.subject("health")
        case Alert():
            return message.ref.subject("alert", check=message.check)


def removed(message: Message) -> Message:
    return msgspec.structs.replace(message, op="remove", text=f"{message.ref} is gone (deleted)")


async def publish(bus: Bus, *messages: Message | Event) -> None:
    """Store messages, one after the other."""
    session = await bus.session(timeout_s=10)
    for message in messages:
        answer = await session.request(subject_of(message), encode(message))
        assert b"error" not in answer.data, answer.data


async def remake(bus: Bus, stream: str, config: StreamsConfig | None = None) -> None:
    """Delete a stream and make it again: its sequences begin at one."""
    session = await bus.session()
    await session.api(f"STREAM.DELETE.{stream}", None, msgspec.Raw)
    await provision_streams(bus, config)


def encoded(message: Message) -> bytes:
    return encode(message)


def make_event(name: str = "cart-7f", *, source: str = "k8s", number: int = 0, **fields: Any) -> Event:
    ref = fields.pop("ref", None) or make_ref(name)
    text = f"{ref}: BackOff {number}"
    found = {"text": text, "id": f"{ref}-{number}", "ref": ref, "source": source, "type": "Warning", **fields}
    return Event(**{"reason": "BackOff", "severity": "warning", "first_at": NOW, "last_at": NOW, **found})
