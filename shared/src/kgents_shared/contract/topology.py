"""The public stream: one merged entity, `kgents.topology.<cluster>.<kind>.<namespace>.<name>`."""

from kgents_shared.contract.entity import Ref, Traffic, Value
from kgents_shared.contract.wire import REMOVE, Time, Wire, stated


class Difference(Wire, frozen=True):
    """One field that changed; None means that it was or is absent."""

    field: str
    """A path such as `status`, `labels.app`, `connections.runs_on node n3`."""
    old: Value = None
    new: Value = None


class ResolvedConnection(Wire, frozen=True):
    """An edge whose both ends exist."""

    kind: str
    peer: Ref
    direction: str = "out"
    attributes: dict[str, Value] = {}
    evidence: str = ""
    source: str = ""
    """The collector that saw it."""
    traffic: Traffic | None = None


class TopologyEntity(Wire, frozen=True):
    """Everything that is known of one entity, and what changed since the previous message."""

    text: str
    """One plain sentence: what it is, and what changed."""
    ref: Ref
    op: str = stated("upsert")
    uid: str = ""
    status: str = stated("unknown")
    reason: str = ""
    stale: list[str] = []
    """The sources that no longer report. Their facts are the last known ones."""
    sources: list[str] = []
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    attributes: dict[str, Value] = {}
    addresses: list[str] = []
    aliases: list[str] = []
    connections: list[ResolvedConnection] = []
    created_at: Time | None = None
    changed: list[Difference] = []
    """Old → new, compared with the previous message on this subject; empty when the entity is new."""
    changed_count: int = 0
    """How many fields changed; `changed` lists at most the first 32."""
    at: Time | None = None
    """When the change that led to this message was stored."""

    @property
    def is_removal(self) -> bool:
        """Whether the entity is gone."""
        return self.op == REMOVE
