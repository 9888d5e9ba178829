"""The public stream: one merged entity, `kgents.topology.<cluster>.<kind>.<namespace>.<name>`.

That a source is silent, or cannot read a part of what it reported, is one message and not one for each entity: the
entity of kind `source` with the source's name. An entity is stale while a scope in `unread` of one of its `sources`
covers it. Readers apply that (`contract.attestation`); the messages of the entities stay as they are.
"""

from kgents_shared.contract.entity import Ref, Traffic, Value
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.wire import REMOVE, Time, Wire, stated


class Difference(Wire, frozen=True):
    """One field that changed; None means that it was or is absent."""

    field: str
    """A path such as `status`, `labels.app`, `connections.runs_on node n3`."""
    old: Value = None
    new: Value = None
    is_cut: bool = False
    """Whether one of the two is too large to repeat here, and only its beginning is given."""


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
    """The sources that no longer report. Their facts are the last known ones. Earlier versions wrote it into every
    message; now it is what a reader derives from the sources, and in the message it is empty."""
    sources: list[str] = []
    parts: dict[str, str] = {}
    """Source → `Entity.part`, of the sources that are collected in parts."""
    expiring: list[str] = []
    """The sources whose report expires unless it is repeated. No heartbeat attests these, so they are never stale."""
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
    unread: list[Unread] = []
    """Of a `source`: what it does not attest, and since when. A scope without any field is everything it reported."""
    unread_entities: int = 0
    """Of a `source`: how many entities these scopes cover."""

    cut: list[str] = []
    """What was left out because the whole message, or a source's, would exceed the server's max_payload. Empty: it is
    whole."""

    @property
    def is_removal(self) -> bool:
        """Whether the entity is gone."""
        return self.op == REMOVE
