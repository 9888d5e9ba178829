"""The running system as a stream: kgents.connect(url) → Client → topology, health, alerts, events, pulses.

    async with kgents.connect("nats://127.0.0.1:4222") as client:
        async for change in client.topology(kind="pod", namespace="shop"):
            print(change.text)

State (`topology`, `health`, `alerts`, and `entities`, which joins the three) begins with what is there and goes on with
every change; logs (`events`, `pulses`) begin with what comes next, or with what was stored since a time. All of them go
on over lost connections, and with a `position_file` after a restart of the program, where they stopped. `get`, `find`
and `snapshot` read once. Every filter takes one value, several separated by commas, or a list.
"""

from kgents.client import Client, connect
from kgents.parts import Change
from kgents.streams import LogStream, StateStream
from kgents_shared.bus.config import TlsConfig
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import (
    BusError,
    BusTimeoutError,
    ConfigError,
    KgentsError,
    NotFoundError,
    ProvisionError,
)
from kgents_shared.contract.event import Event
from kgents_shared.contract.health import Health, Reason
from kgents_shared.contract.pulse import DatabasePulse, Pulse, ResourcePulse, TrafficPulse
from kgents_shared.contract.topology import Difference, ResolvedConnection, TopologyEntity
from kgents_shared.view.entity import EntityView as Entity
from kgents_shared.view.paths import Affected, Edge, Graph

__all__ = [
    "Affected",
    "Alert",
    "BusError",
    "BusTimeoutError",
    "Change",
    "Client",
    "ConfigError",
    "DatabasePulse",
    "Difference",
    "Edge",
    "Entity",
    "Event",
    "Graph",
    "Health",
    "KgentsError",
    "LogStream",
    "NotFoundError",
    "ProvisionError",
    "Pulse",
    "Reason",
    "Ref",
    "ResolvedConnection",
    "ResourcePulse",
    "StateStream",
    "TlsConfig",
    "TopologyEntity",
    "TrafficPulse",
    "connect",
]
