"""What this collector is told: which databases to look at, by name and backend → `watches.py`."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field, structs

from kgents_collector_db.targets.pgbouncer import PgbouncerTarget
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_collector_db.targets.redis import RedisTarget
from kgents_collector_db.targets.target import Target

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")


class DiscoveryConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Databases that other collectors see and that are marked `kgents.io/database: postgres` by a label or annotation.

    Both are needed: this section, and the mark. What stands here holds for all that are found; their address, port
    and namespace are what the stream says.
    """

    sources: list[str] = field(default_factory=lambda: ["k8s", "docker"])
    """Whose marks count: whoever may set them decides where our credentials are sent."""

    postgres: PostgresTarget = PostgresTarget()
    """What all PostgreSQL servers that are found have in common."""

    pgbouncer: PgbouncerTarget = PgbouncerTarget()
    """What all PgBouncers that are found have in common."""

    redis: RedisTarget = RedisTarget()
    """What all Redis and Valkey servers that are found have in common."""

    qdrant: QdrantTarget = QdrantTarget()
    """What all Qdrant peers that are found have in common; of the url only the scheme counts."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `collector-db`. Each target's key is the name of its entity."""

    postgres: dict[str, PostgresTarget] = {}
    """PostgreSQL servers, by name."""

    pgbouncer: dict[str, PgbouncerTarget] = {}
    """PgBouncers, by name."""

    redis: dict[str, RedisTarget] = {}
    """Redis and Valkey servers and sentinels, by name."""

    qdrant: dict[str, QdrantTarget] = {}
    """Qdrant peers, by name."""

    discovery: DiscoveryConfig | None = None
    """Whether to watch databases that are found on the stream. null: only those named here."""

    local: bool = False
    """Whether to watch what serves on this machine and lets this user in without a password; looked for at the start.
    `kgents up` sets it."""

    def __post_init__(self) -> None:
        names = Counter((target.namespace, name) for group in self.targets().values() for name, target in group.items())
        problems = [
            f'expected names of letters, digits, "-" and "_", found "{name}"; rename it'
            for _, name in names
            if not _NAME.match(name)
        ]
        problems += [
            f'expected one target of each name, found "{name}" {count} times; rename one, or give it a namespace'
            for (_, name), count in names.items()
            if count > 1
        ]
        if problems:
            raise ValueError("; ".join(problems))

    def targets(self) -> dict[str, Mapping[str, Target]]:
        """The targets by backend and name."""
        groups = {each.name: getattr(self, each.name) for each in structs.fields(type(self))}
        return {backend: group for backend, group in groups.items() if isinstance(group, dict)}
