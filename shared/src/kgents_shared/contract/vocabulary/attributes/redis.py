"""What collectors state of Redis and Valkey and OpenTelemetry has no name for."""

from typing import Final

from kgents_shared.contract.vocabulary.attributes.attribute import Attributes

_OURS: Final = Attributes()
_attribute = _OURS.attribute

AOF: Final = _attribute("kgents.redis.aof", "Whether the append-only file is on.")
CLUSTER_NODE_ID: Final = _attribute("kgents.redis.cluster.node_id", "Its id in the cluster.")
EVICTS: Final = _attribute("kgents.redis.evicts", "Whether it evicts keys at `maxmemory`.")
MASTER: Final = _attribute("kgents.redis.master", "Of a connection: the name of the master that a sentinel monitors.")
MAXCLIENTS: Final = _attribute("kgents.redis.maxclients", "Clients that it allows.")
MAXMEMORY_BYTES: Final = _attribute("kgents.redis.maxmemory_bytes", "`maxmemory`; 0 is no limit.")
MAXMEMORY_POLICY: Final = _attribute("kgents.redis.maxmemory_policy", "What it does at `maxmemory`.")
MODE: Final = _attribute("kgents.redis.mode", "`standalone`, `cluster` or `sentinel`.")
PROMOTED_FROM: Final = _attribute(
    "kgents.redis.promoted_from", "Of a master that was a replica: the replication id of its former master."
)
RDB_LAST_SAVE: Final = _attribute("kgents.redis.rdb.last_save", "`ok` or `err`: the last snapshot.")
RELATION: Final = _attribute("kgents.redis.relation", "Of a connection: `replicates`, `watches` or `cluster`.")
REPLICAS: Final = _attribute("kgents.redis.replicas", "Replicas that follow a master.")
REPLICAS_BEFORE: Final = _attribute("kgents.redis.replicas.before", "How many did before some were lost.")
REPLICAS_LOST_AT: Final = _attribute("kgents.redis.replicas.lost_at", "When those were lost; forgotten after a day.")
REPLICATION_LINK: Final = _attribute("kgents.redis.replication.link", "Of a replica: `up`, `down` or `syncing`.")
ROLE: Final = _attribute("kgents.redis.role", "`master`, `replica` or `sentinel`.")
SENTINEL_MASTERS: Final = _attribute("kgents.redis.sentinel.masters", "Names of the masters that it monitors.")

ATTRIBUTES: Final = tuple(_OURS.declared)
