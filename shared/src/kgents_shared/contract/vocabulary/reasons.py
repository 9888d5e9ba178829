"""Reasons of the events that our collectors detect, or name, themselves → `Event.reason`.

Kubernetes Events, JetStream advisories, Docker's health checks (`Health…`) and causes of databases that cannot be read
(`Refused`, `WrongCredentials`, …) bring their own.
"""

from typing import Final, NewType

from msgspec import Struct

ReasonName = NewType("ReasonName", str)


class Reason(Struct, frozen=True):
    """One reason."""

    name: ReasonName
    meaning: str


_declared: list[Reason] = []


def _reason(name: str, meaning: str) -> ReasonName:
    declared = Reason(ReasonName(name), meaning)
    _declared.append(declared)
    return declared.name


SERVER_RESTARTED: Final = _reason("ServerRestarted", "A nats-server restarted.")
SLOW_CONSUMER: Final = _reason("SlowConsumer", "A nats-server disconnected clients that read too slowly.")
CONFIG_RELOADED: Final = _reason("ConfigReloaded", "A nats-server reloaded its configuration.")
CREATED: Final = _reason("Created", "A container was created.")
STARTED: Final = _reason("Started", "A container was started.")
DIED: Final = _reason("Died", "A container ended.")
REMOVED: Final = _reason("Removed", "A container was removed.")
OOM: Final = _reason("OOM", "The kernel killed a process for memory, of a container or on a machine.")
KILLED: Final = _reason("Killed", "A container was sent a signal.")
PAUSED: Final = _reason("Paused", "A container was paused.")
UNPAUSED: Final = _reason("Unpaused", "A container was resumed.")
RENAMED: Final = _reason("Renamed", "A container was renamed.")
UPDATED: Final = _reason("Updated", "The limits of a container were changed.")
STOPPED: Final = _reason("Stopped", "A container was stopped.")
NETWORK_CREATED: Final = _reason("NetworkCreated", "A network was created.")
NETWORK_REMOVED: Final = _reason("NetworkRemoved", "A network was removed.")
NETWORK_CONNECTED: Final = _reason("NetworkConnected", "A container was connected to a network.")
NETWORK_DISCONNECTED: Final = _reason("NetworkDisconnected", "A container was disconnected from a network.")
VOLUME_CREATED: Final = _reason("VolumeCreated", "A volume was created.")
VOLUME_REMOVED: Final = _reason("VolumeRemoved", "A volume was removed.")
RESTARTED: Final = _reason("Restarted", "A container, database or machine restarted.")
SEEN_AGAIN: Final = _reason("SeenAgain", "A database that could not be read can be read again.")
REPLACED: Final = _reason("Replaced", "Another database answers at the same address.")
PROMOTED: Final = _reason("Promoted", "A standby became primary.")
DEMOTED: Final = _reason("Demoted", "A primary became standby.")
ROLE_CHANGED: Final = _reason("RoleChanged", "A Redis server changed between master and replica.")
STATISTICS_RESET: Final = _reason("StatisticsReset", "Counters were reset.")
DEADLOCK: Final = _reason("Deadlock", "PostgreSQL resolved deadlocks.")
CHECKSUM_FAILURE: Final = _reason("ChecksumFailure", "PostgreSQL read damaged pages.")
ARCHIVING_FAILED: Final = _reason("ArchivingFailed", "PostgreSQL cannot archive its WAL.")
CONNECTION_LIMIT_REACHED: Final = _reason(
    "ConnectionLimitReached", "A database or role of PostgreSQL has no connection left."
)
SESSIONS_BLOCKED: Final = _reason("SessionsBlocked", "A session blocks others.")
REPLICATION_RESTORED: Final = _reason("ReplicationRestored", "A standby receives from its primary again.")
REPLICATION_LOST: Final = _reason("ReplicationLost", "A standby receives nothing from its primary.")
SLOT_LOST: Final = _reason("SlotLost", "The WAL that a replication slot needs is gone.")
STANDBY_LOST: Final = _reason("StandbyLost", "A standby is no longer connected.")
SNAPSHOT_FAILED: Final = _reason("SnapshotFailed", "Redis could not write its snapshot.")
REPLICATION_LINK_UP: Final = _reason("ReplicationLinkUp", "A Redis replica follows its master again.")
REPLICATION_LINK_DOWN: Final = _reason("ReplicationLinkDown", "A Redis replica lost its master.")
REPLICA_LOST: Final = _reason("ReplicaLost", "A Redis master lost a replica.")
FAILED_OVER: Final = _reason("FailedOver", "A sentinel reports another address for a master.")
LEADER_CHANGED: Final = _reason("LeaderChanged", "A Qdrant peer knows another leader.")
COLLECTION_RED: Final = _reason("CollectionRed", "A Qdrant collection became red.")
COLLECTION_RECOVERED: Final = _reason("CollectionRecovered", "A Qdrant collection is no longer red.")
VERSION_CHANGED: Final = _reason("VersionChanged", "Instances of an application report another version.")

REASONS: Final = {each.name: each for each in _declared}
"""Every reason that is declared."""
