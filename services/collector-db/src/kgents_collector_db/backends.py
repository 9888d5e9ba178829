"""Target → Backend: the only module that knows every kind of database."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from msgspec import structs

from kgents_collector_db.backend import Backend
from kgents_collector_db.config import Config, DiscoveryConfig
from kgents_collector_db.mapping import coherency, pgbouncer, qdrant, redis
from kgents_collector_db.mapping.coherency import Pair
from kgents_collector_db.mapping.coherency.sample import CoherencySample
from kgents_collector_db.mapping.discovery import Found
from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.mapping.postgres.primaries import Primaries
from kgents_collector_db.mapping.qdrant.sample import QdrantSample
from kgents_collector_db.mapping.redis.replicas import Claim
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_collector_db.source import Source
from kgents_collector_db.source.pgbouncer import PgbouncerSource
from kgents_collector_db.source.postgres import PostgresSource
from kgents_collector_db.source.redis import RedisSource
from kgents_collector_db.targets.coherency import CoherencyTarget
from kgents_collector_db.targets.pgbouncer import PgbouncerTarget
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_collector_db.targets.redis import RedisTarget
from kgents_collector_db.targets.target import Target
from kgents_shared.contract.address import join
from kgents_shared.contract.facts import Facts
from kgents_shared.runtime.clock import Clock


class Backends:
    """Makes the backend of each target. One object for all, so that servers of one database are compared."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._primaries = Primaries()
        self._claims: dict[tuple[str, str], Claim] = {}  # of each Redis, by namespace and name
        self._pairs: list[Pair] = []

    def configured(self, config: Config) -> Iterator[Backend[Any]]:
        """One for each target of the configuration."""
        for name, comparison in config.coherency.items():
            yield self._comparison(name, comparison, config)
        for group in config.servers().values():
            for name, target in group.items():
                yield self.of(name, target)

    def discovered(self, found: Found, config: DiscoveryConfig) -> Backend[Any]:
        """The backend of a database that was found on the stream, with the common settings of its kind."""
        template: PostgresTarget | PgbouncerTarget | RedisTarget | QdrantTarget = getattr(config, found.backend)
        if isinstance(template, QdrantTarget):
            url = f"{urlsplit(template.url).scheme}://{join(found.host, found.port)}"
            target: Target = structs.replace(template, url=url, namespace=found.namespace)
        else:
            target = structs.replace(template, host=found.host, port=found.port, namespace=found.namespace)
        return self.of(found.name, target)

    def of(self, name: str, target: Target) -> Backend[Any]:
        """The backend of this target under this name."""
        match target:
            case PostgresTarget():
                return Backend(name, target, partial(PostgresSource, target, self._clock), self._primaries.observe)
            case PgbouncerTarget():
                return Backend(name, target, partial(PgbouncerSource, target, self._clock), pgbouncer.observe)
            case RedisTarget():
                return Backend(name, target, partial(RedisSource, target, self._clock), self._observe_redis)
            case QdrantTarget():
                return Backend(name, target, partial(_open_qdrant, target, self._clock), self._observe_qdrant)
            case _:
                raise TypeError(f"expected a target of a known backend, found {type(target).__name__}")

    def _comparison(self, name: str, target: CoherencyTarget, config: Config) -> Backend[Any]:
        postgres, server = config.postgres[target.postgres], config.qdrant[target.qdrant]
        stores = (target.postgres, postgres.namespace), (target.qdrant, server.namespace)
        pair = Pair(*stores, target.collection)
        self._pairs.append(pair)
        source = partial(_open_coherency, target, postgres, server, self._clock)
        return Backend(name, target, source, partial(coherency.observe, pair=pair))

    def _observe_qdrant(self, previous: QdrantSample | None, current: QdrantSample, scope: Scope) -> Facts:
        return coherency.derived(qdrant.observe(previous, current, scope), scope.cluster, self._pairs)

    def _observe_redis(self, previous: RedisSample | None, current: RedisSample, scope: Scope) -> Facts:
        own = (scope.namespace, scope.name)
        others = [claim for name, claim in self._claims.items() if name != own]
        facts = redis.observe(previous, current, scope, others)
        self._claims[own] = redis.claim(current, facts, scope)
        return facts


def _open_qdrant(target: QdrantTarget, clock: Clock) -> Source[QdrantSample]:
    """Import its client library only if a Qdrant target exists: the import takes 1 s of CPU time and 60 MiB."""
    from kgents_collector_db.source.qdrant import QdrantSource  # noqa: PLC0415

    return QdrantSource(target, clock)


def _open_coherency(
    target: CoherencyTarget, postgres: PostgresTarget, server: QdrantTarget, clock: Clock
) -> Source[CoherencySample]:
    """As `_open_qdrant`."""
    from kgents_collector_db.source.coherency import CoherencySource  # noqa: PLC0415

    return CoherencySource(target, postgres, server, clock)
