"""Databases in a story: the sample of a poll → collector-db's mapping → entity and pulses.

A target is polled every 10 s. A step says what it answers from then on, as a function of the time: counters grow.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from kgents_collector_db.mapping.facts import SOURCE, Scope
from kgents_collector_db.mapping.postgres.sample import Identity, PostgresSample, Slot, Standby
from kgents_collector_db.mapping.qdrant.sample import Collection, Process, QdrantSample
from kgents_collector_db.mapping.redis.info import Info
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_shared.contract.facts import Facts
from support.story_world import CLUSTER, START, Step, World

POLL_S: Final = 10.0
MIB: Final = 1024**2

Observe = Callable[[Any, Any, Scope], Facts]


class Target:
    """One database, and its part of collector-db."""

    def __init__(self, world: World, name: str, observe: Observe, answers: Callable[[float], Any]) -> None:
        self.answers = answers
        self._world = world
        self._name = name
        self._observe = observe
        self._last: Any = None
        self._polled_s = float("-inf")

    def poll(self) -> None:
        """Poll it every POLL_S."""
        world, part = self._world, f"/{self._name}"
        if world.now_s - self._polled_s < POLL_S:
            return
        self._polled_s = world.now_s
        sample = self.answers(world.now_s)
        scope = Scope(CLUSTER, self._name, "", POLL_S, world.now, world.published_of(SOURCE, part))
        world.report(SOURCE, part, self._observe(self._last, sample, scope))
        self._last = sample


def answers(name: str, observe: Observe, sample: Callable[[float], Any]) -> Step:
    """What a database answers from now on.

    Args:
        name: of the target.
        observe: its mapping: `postgres.observe`, `redis.observe`, …
        sample: seconds since the story's begin → the sample of a poll.
    """

    def step(world: World) -> None:
        target = world.source(f"{SOURCE}:{name}", lambda it: Target(it, name, observe, sample), Target)
        target.answers = sample

    return step


# Samples


def primary(at_s: float, **fields: Any) -> PostgresSample:
    """A PostgreSQL 16 that writes; any field of the sample may be given."""
    given: dict[str, Any] = {"connections": 1, "system_id": "7", "identity": identity(at_s)}
    return PostgresSample(at=at(at_s), address="db:5432", **given | fields)


def standby(at_s: float, *, link: str | None = "streaming", age_s: float = 0.1, **fields: Any) -> PostgresSample:
    """One that replays. `link`: the state of its receiver; None: it has none."""
    state = Standby(
        status=link, msg_age_s=age_s, sender_host="db-0", sender_port=5432, received=1000, replayed=1000,
        since_last_xact_s=1.0, paused=False, apply_delay_s=0.0, has_upstream=True,
    )  # fmt: skip
    return primary(at_s, identity=identity(at_s, in_recovery=True), standby=state, **fields)


def identity(at_s: float, **fields: Any) -> Identity:
    """Of the server and our session."""
    given: dict[str, Any] = {
        "now": at(at_s), "version_num": 160004, "version": "16.4", "in_recovery": False, "started": START,
        "backend_pid": 1, "max_connections": 100, "superuser_reserved": 3, "reserved": 0, "sees_all": True,
        "own_sessions": 1, "server_addr": "10.0.0.7", "server_port": 5432, "freeze_max_age": 200_000_000,
        "multixact_freeze_max_age": 400_000_000, "receiver_timeout_s": 60.0, "archive_mode": "off",
    }  # fmt: skip
    return Identity(**given | fields)


def slot(**fields: Any) -> Slot:
    """A physical replication slot that is used."""
    given: dict[str, Any] = {
        "slot_name": "standby_1", "slot_type": "physical", "active": True, "wal_status": "reserved",
        "safe_wal_bytes": None, "limit_wal_bytes": None, "retained_bytes": 1000, "xmin_age": None,
        "catalog_xmin_age": None, "inactive_s": None, "invalidation_reason": None,
    }  # fmt: skip
    return Slot(**given | fields)


def master(at_s: float, **fields: str) -> RedisSample:
    """A Redis 7 as INFO shows it; any field of INFO may be given."""
    info = {
        "redis_version": "7.0.15", "redis_mode": "standalone", "run_id": "r1", "role": "master",
        "uptime_in_seconds": str(1000 + int(at_s)), "total_commands_processed": str(1000 + 100 * int(at_s)),
        "total_error_replies": "0", "connected_clients": "5", "maxclients": "100", "used_memory": str(50 * MIB),
        "used_memory_rss": str(60 * MIB), "maxmemory": str(100 * MIB), "maxmemory_policy": "noeviction",
        "keyspace_hits": "900", "keyspace_misses": "100", "rdb_last_bgsave_status": "ok", "connected_slaves": "0",
    }  # fmt: skip
    return RedisSample(at=at(at_s), address="cache:6379", info=Info(info | fields), info_at_s=at_s)


def peer(at_s: float, *collections: str, unread: Mapping[str, str] | None = None, **fields: Any) -> QdrantSample:
    """A single Qdrant with these green collections, and some that it does not answer for: why."""
    names = tuple(sorted([*collections, *(unread or {})]))
    process = Process(id="p1", version="1.12.0", started=START, resident_bytes=MIB, allocated_bytes=MIB)
    given: dict[str, Any] = {"process": process, "is_cluster_read": True, "ready": True, "unread": unread or {}}
    seen = tuple(Collection(name=name, status="green", points=1, segments=1) for name in collections)
    return QdrantSample(
        at=at(at_s), address="vectors:6333", names=names, shown=names, collections=seen, **given | fields
    )


def at(at_s: float) -> datetime:
    """A moment of the story."""
    return START + timedelta(seconds=at_s)
