"""Kinds of connections → `Connection.kind`."""

from typing import Final, NewType

from msgspec import Struct

from kgents_shared.contract.vocabulary import kinds

ConnectionKindName = NewType("ConnectionKindName", str)


class ConnectionKind(Struct, frozen=True):
    """One kind of connection."""

    name: ConnectionKindName
    meaning: str


_declared: list[ConnectionKind] = []


def _kind(name: str, meaning: str) -> ConnectionKindName:
    declared = ConnectionKind(ConnectionKindName(name), meaning)
    _declared.append(declared)
    return declared.name


OWNS: Final = _kind("owns", "One entity made the other or contains it: a Deployment its pods, a pod its containers.")
RUNS_ON: Final = _kind(
    "runs_on", "A pod on its node, a database on the container that serves it, a NATS client in its program."
)
NETWORK: Final = _kind("network", "A network connection, or membership in a network.")
HTTP: Final = _kind("http", "HTTP requests.")
GRPC: Final = _kind("grpc", "gRPC calls.")
NATS: Final = _kind("nats", "Messages: a client publishes to a stream, or receives from a subject.")
MESSAGES: Final = _kind("messages", "Messages of one application that another one receives, through a broker.")
ROUTES: Final = _kind("routes", "A Service to its pods, an Ingress or route to its Services.")
SELECTS: Final = _kind("selects", "A NetworkPolicy applies to a pod.")
SCALES: Final = _kind("scales", "An autoscaler sets the number of replicas of a workload.")
CONFIGURES: Final = _kind("configures", "A ConfigMap or Secret is used by a workload.")
VOLUME: Final = _kind("volume", "Storage is mounted or bound.")
DEPENDS: Final = _kind(
    "depends", "One does not work without the other: a replica and its primary, a consumer and its stream."
)
SAME_AS: Final = _kind("same_as", "Two sources show the same entity under two names.")

CONNECTION_KINDS: Final = {each.name: each for each in _declared}
"""The connection kinds known today; open, as the kinds are."""

_NEEDED_BY_TARGET: Final = frozenset({CONFIGURES, MESSAGES, SELECTS, SCALES})


def needed_by_target(kind: str, source_kind: str) -> bool:
    """Whether the side that is acted on needs the one that acts, as a pod its Secret, and not the other way round.

    Args:
        kind: of the connection; a newer one counts as `depends`.
        source_kind: kind of the entity that acts.
    """
    return kind in _NEEDED_BY_TARGET or (kind == NATS and source_kind == kinds.NATS_SUBJECT)
