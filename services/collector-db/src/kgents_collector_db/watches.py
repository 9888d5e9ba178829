"""Targets → what watches them: the one place that knows every backend."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from kgents_collector_db.backend import Backend
from kgents_collector_db.config import Config
from kgents_collector_db.mapping import pgbouncer, postgres, redis
from kgents_collector_db.mapping.facts import Facts, Scope
from kgents_collector_db.mapping.postgres.sample import PostgresSample
from kgents_collector_db.source.pgbouncer import PgbouncerSource
from kgents_collector_db.source.postgres import PostgresSource
from kgents_collector_db.source.redis import RedisSource
from kgents_shared.runtime.clock import Clock


def backends(config: Config, clock: Clock) -> Iterator[Backend[Any]]:
    """One for each target."""
    primaries = _Primaries()
    for name, target in config.postgres.items():
        yield Backend(name, target, partial(PostgresSource, target, clock), primaries.observe)
    for name, pooler in config.pgbouncer.items():
        yield Backend(name, pooler, partial(PgbouncerSource, pooler, clock), pgbouncer.observe)
    for name, each in config.redis.items():
        yield Backend(name, each, partial(RedisSource, each, clock), redis.observe)


class _Primaries:
    """How far the primaries' logs are, for their standbys: both have the same system identifier."""

    def __init__(self) -> None:
        self._positions: dict[str, int] = {}

    def observe(self, previous: PostgresSample | None, current: PostgresSample, scope: Scope) -> Facts:
        """As `postgres.observe`, knowing the other servers that are watched."""
        identity, system_id = current.identity, current.system_id or ""
        if identity is not None and system_id and not identity.in_recovery:
            self._positions[system_id] = identity.position
        return postgres.observe(previous, current, scope, self._positions.get(system_id))
