"""The answers that hold entities as they are on the streams: the bytes that arrived, joined and not encoded again."""

from typing import Generic, TypeVar

import msgspec

from kgents_shared.contract.alert import Alert
from kgents_shared.contract.archive import Coverage
from kgents_shared.contract.health import Health
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.wire import Time

R = TypeVar("R")


class Record(TopologyEntity, frozen=True, kw_only=True):
    """One entity: its topology message, with its health and alerts."""

    id: str
    """What addresses call it: cluster.kind.namespace.name, escaped as in NATS subjects."""
    health: Health | None
    """Null: it is not scored."""
    alerts: list[Alert]


class RecordThen(Record, frozen=True, kw_only=True):
    """One entity as it is, or as it was at a time, and how well that time is known; all empty for now."""

    forgotten: list[str] = []
    """Of a time that has been: subjects of this entity whose state is no longer kept. Its health, if it is among them,
    is null without being unscored."""
    archived: list[Coverage] = []
    """Of a time that has been: what of it is from the archive, by signal; empty: the streams alone hold it."""
    remarks: list[str] = []
    """What else is not known of that time, as sentences; empty: nothing."""


class Entities(msgspec.Struct, Generic[R], frozen=True):
    """The selected entities."""

    entities: list[R]
    count: int
    """How many are selected, behind `after_id`; `entities` holds at most `limit` of them."""
    mark: str
    """How far the streams are read: `after` of the stream continues from here. Empty for a time that has been."""
    at: Time
    """When."""
    stale_since: Time | None
    """Since when the gateway cannot read the streams. Null: it can."""
    forgotten: list[str]
    """Subjects of which the state at that time is no longer kept, as `kgents.topology.>` before its stream was made."""
    next: str
    """`after_id` of the next page; empty: there is none."""
    archived: list[Coverage] = []
    """Of a time that has been: what of it is from the archive, by signal; empty: the streams alone hold it."""
    remarks: list[str] = []
    """What else is not known of that time, as sentences; empty: nothing."""


Documented = Entities[Record]
Joined = Entities[msgspec.Raw]
