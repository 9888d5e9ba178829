"""What this collector is told: which databases to look at, by name and backend → `watches.py`."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, structs

from kgents_collector_db.targets.pgbouncer import PgbouncerTarget
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_collector_db.targets.redis import RedisTarget
from kgents_collector_db.targets.target import Target

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `collector-db`. Each target's key is the name of its entity."""

    postgres: dict[str, PostgresTarget] = {}
    """PostgreSQL servers, by name."""

    pgbouncer: dict[str, PgbouncerTarget] = {}
    """PgBouncers, by name."""

    redis: dict[str, RedisTarget] = {}
    """Redis and Valkey servers and sentinels, by name."""

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
        groups = {field.name: getattr(self, field.name) for field in structs.fields(type(self))}
        return {backend: group for backend, group in groups.items() if isinstance(group, dict)}
