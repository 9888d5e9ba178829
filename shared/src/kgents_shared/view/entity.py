"""One entity as readers see it: its last topology, health and alert messages → EntityView. Pure.

A reader of 100,000 entities uses a few of them. So the messages are kept as the bytes that arrived, and a view decodes
each of them on first use.
"""

from functools import cached_property
from typing import Final, TypeVar

import msgspec

from kgents_shared.contract import codec
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.attestation import ATTESTED, Attestation, Scopes
from kgents_shared.contract.codec import Codec
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.health import Health, Reason
from kgents_shared.contract.subjects import FIELDS, ROOT, is_hashed, unescape
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.wire import Wire
from kgents_shared.view.attested import stale_health, stale_topology

T = TypeVar("T", bound=Wire)

STATE: Final = ("topology", "health", "alert")
"""The signals that a view joins."""
UNKNOWN: Final = "unknown"
"""The level of an entity that is not scored yet."""

_BADNESS: Final = {"critical": 0, "warning": 1}
_KEY_TOKENS: Final = len(FIELDS["topology"])


class Rows(msgspec.Struct, frozen=True, gc=False):
    """The last message of each signal about one entity, as it arrived. A removed one is None."""

    topology: bytes | None = None
    health: bytes | None = None
    alerts: dict[str, bytes] | None = None
    """By check; None if there is none. Never changed in place."""

    def message(self, signal: str, check: str = "") -> bytes | None:
        """The message of one signal (for alerts: of one check)."""
        if signal == "topology":
            return self.topology
        if signal == "health":
            return self.health
        return self.alerts.get(check) if self.alerts else None

    def with_message(self, signal: str, check: str, payload: bytes | None) -> "Rows":
        """These rows with one message replaced; None removes it."""
        if signal == "topology":
            return Rows(payload, self.health, self.alerts)
        if signal == "health":
            return Rows(self.topology, payload, self.alerts)
        alerts = dict(self.alerts or {})
        if payload is None:
            alerts.pop(check, None)
        else:
            alerts[check] = payload
        return Rows(self.topology, self.health, alerts or None)

    @property
    def is_empty(self) -> bool:
        """Whether no message is left."""
        return self.topology is None and self.health is None and self.alerts is None


class _Peer(msgspec.Struct, gc=False):
    peer: Ref


class _Connected(msgspec.Struct):
    connections: list[_Peer] = []


_PEERS: Final = msgspec.json.Decoder(_Connected)


def key_of(subject: str) -> tuple[str, str, str]:
    """The signal, the entity's key (`local.pod.shop.cart`) and, of an alert, the check, all still escaped."""
    _, signal, rest = subject.split(".", 2)
    if signal != "alert":
        return signal, rest, ""
    key, _, check = rest.rpartition(".")
    return signal, key, check


def key_of_ref(ref: Ref) -> str:
    """The key of an entity of this name."""
    return key_of(ref.subject("topology"))[1]


def subject_of(signal: str, key: str, check: str = "") -> str:
    """The subject of a signal about the entity with this key; the opposite of `key_of`."""
    return f"{ROOT}.{signal}.{key}.{check}" if check else f"{ROOT}.{signal}.{key}"


class EntityView:
    """One entity with its health and alerts.

    A part that is missing, or that cannot be decoded (see `malformed`), is None or empty.
    """

    def __init__(self, key: str, stored: Rows, attestation: Attestation = ATTESTED) -> None:
        """`attestation`: what the sources do not attest."""
        self.key: Final = key
        """Cluster, kind, namespace and name as subjects spell them."""
        self._stored = stored
        self._attestation = attestation
        self.malformed: Final[dict[str, str]] = {}
        """Subject → why its message cannot be decoded, of those that have been read."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EntityView) and self.key == other.key and self.rows == other.rows

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"<{self.ref} {self.status} {self.level}>"

    def silenced(self, silent: Scopes) -> "EntityView":
        """This, as it is to be read while the services that write it are silent."""
        return EntityView(self.key, self._stored, self._attestation.with_silent(silent))

    @property
    def peers(self) -> set[str]:
        """The keys of those whom its own message names at the other end of a connection. Decodes nothing else."""
        try:
            message = _PEERS.decode(self._stored.topology or b"{}")
            return {key_of_ref(each.peer) for each in message.connections}
        except (msgspec.DecodeError, MalformedMessageError):
            return set()

    def has_topology_of(self, other: "EntityView") -> bool:
        """Whether both were made of the very same topology message."""
        return self._stored.topology is other._stored.topology  # noqa: SLF001 # it is one of these

    @cached_property
    def rows(self) -> Rows:
        """Its messages: as they are stored, and while it is not attested, as they are to be read then."""
        stored = self._stored
        if self._attestation.is_whole or (stored.health is None and self._attestation.keeps_topology):
            return stored
        entity, health = self._decoded(codec.TOPOLOGY, stored.topology), self._decoded(codec.HEALTH, stored.health)
        stale = stale_topology(entity, self._attestation) if entity is not None else None
        unknown = stale_health(health, entity, self._attestation) if health is not None else None
        if stale is entity and unknown is health:
            return stored
        topology = codec.encode(stale) if stale is not None else stored.topology
        return Rows(topology, codec.encode(unknown) if unknown is not None else stored.health, stored.alerts)

    @cached_property
    def ref(self) -> Ref:
        """Its name. A long name is a hash in its subject and whole only in the messages."""
        tokens = self.key.split(".")
        if len(tokens) == _KEY_TOKENS and not is_hashed(self.key):
            try:
                cluster, kind, namespace, name = map(unescape, tokens)
                return Ref(cluster, kind, name, namespace)
            except MalformedMessageError:
                pass  # a subject that no kgents service builds; the body may still name the entity
        messages = (self.topology, self.health, *self.alerts)
        return next((each.ref for each in messages if each is not None), Ref("", "", self.key))

    @cached_property
    def topology(self) -> TopologyEntity | None:
        """Its state and connections; None if topology-builder has not published it."""
        return self._decoded(codec.TOPOLOGY, self.rows.topology)

    @cached_property
    def health(self) -> Health | None:
        """Its health, and why; None if it is not scored."""
        return self._decoded(codec.HEALTH, self.rows.health)

    @cached_property
    def alerts(self) -> tuple[Alert, ...]:
        """Its alerts, resolved ones included: critical first, then by check."""
        found = (self._decoded(codec.ALERT, each, check) for check, each in (self.rows.alerts or {}).items())
        alerts = [each for each in found if each is not None]
        return tuple(sorted(alerts, key=lambda each: (_BADNESS.get(each.severity, len(_BADNESS)), each.check)))

    @property
    def firing(self) -> tuple[Alert, ...]:
        """Its alerts that fire now."""
        return tuple(each for each in self.alerts if each.state == "firing")

    @property
    def text(self) -> str:
        """The newest sentence about it: its health's if it is scored, else its topology's."""
        if self.health is not None:
            return self.health.text
        return self.topology.text if self.topology is not None else ""

    @property
    def status(self) -> str:
        """`running`, `pending`, `failed`, `terminating`, `succeeded` or `unknown`."""
        return self.topology.status if self.topology is not None else UNKNOWN

    @property
    def reason(self) -> str:
        """The reason of the status, such as `CrashLoopBackOff`; mostly empty."""
        return self.topology.reason if self.topology is not None else ""

    @property
    def condition(self) -> str:
        """Status and reason in words: `running`, `failed (CrashLoopBackOff)`."""
        return f"{self.status} ({self.reason})" if self.reason else self.status

    @property
    def level(self) -> str:
        """`healthy`, `warning`, `critical` or `unknown`, also if it is not scored."""
        return self.health.level if self.health is not None else UNKNOWN

    @property
    def score(self) -> float | None:
        """0 (dead) to 1 (healthy); None if it is not known."""
        return self.health.score if self.health is not None and self.health.level != UNKNOWN else None

    @property
    def reasons(self) -> list[Reason]:
        """Every finding of its health, the worst first."""
        return self.health.reasons if self.health is not None else []

    @property
    def why(self) -> str:
        """The most important reason for its state in one sentence; empty if there is none."""
        return self.reasons[0].text if self.reasons else self.otherwise

    @property
    def otherwise(self) -> str:
        """`why`, where its health gives no reason."""
        if self.stale:
            return f"stale: no report from {', '.join(self.stale)}"
        return self.reason

    @property
    def stale(self) -> list[str]:
        """The sources that no longer report; their facts are the last known ones. Empty: all are current."""
        return self.topology.stale if self.topology is not None else []

    @property
    def sources(self) -> list[str]:
        """The collectors that report it."""
        return self.topology.sources if self.topology is not None else []

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return self.topology.labels if self.topology is not None else {}

    @cached_property
    def owners(self) -> tuple[Ref, ...]:
        """The entities that own it directly, such as a pod's deployment."""
        if self.topology is None:
            return ()
        found = (each.peer for each in self.topology.connections if (each.kind, each.direction) == ("owns", "in"))
        return tuple(dict.fromkeys(found))

    @property
    def owner(self) -> Ref | None:
        """Its first owner; None if it has none."""
        return self.owners[0] if self.owners else None

    def record(self) -> bytes:
        """One JSON object: the topology message with `health` (or null) and `alerts` beside its own fields."""
        topology = self.rows.topology or msgspec.json.encode({"ref": self.ref})
        alerts = b",".join((self.rows.alerts or {}).values())
        head = topology.rstrip()[:-1]
        return b'%b,"health":%b,"alerts":[%b]}' % (head, self.rows.health or b"null", alerts)

    def _decoded(self, of: Codec[T], payload: bytes | None, check: str = "") -> T | None:
        if payload is None:
            return None
        subject = subject_of(of.signal, self.key, check)
        try:
            return of.decode(payload, subject=subject)
        except MalformedMessageError as error:
            self.malformed[subject] = str(error)
            return None
