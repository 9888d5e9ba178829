"""The settings of this collector: which databases to poll, by name and backend → `backends.py`."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import field, structs

from kgents_collector_db.targets.coherency import CoherencyTarget
from kgents_collector_db.targets.pgbouncer import PgbouncerTarget
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_collector_db.targets.redis import RedisTarget
from kgents_collector_db.targets.target import Target
from kgents_shared.contract.section import Fault, Section

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")


class DiscoveryConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Databases that other collectors publish with the label or annotation `kgents.io/database: postgres`.

    Both are needed: this section, and the mark. The settings here apply to all databases that are found; address,
    port and namespace come from the stream.
    """

    sources: list[str] = field(default_factory=lambda: ["k8s", "docker"])
    """The collectors whose marks count. Anyone who may set a mark decides where our credentials are sent."""

    postgres: PostgresTarget = PostgresTarget()
    """Settings of all PostgreSQL servers that are found."""

    pgbouncer: PgbouncerTarget = PgbouncerTarget()
    """Settings of all PgBouncers that are found."""

    redis: RedisTarget = RedisTarget()
    """Settings of all Redis and Valkey servers that are found."""

    qdrant: QdrantTarget = QdrantTarget()
    """Settings of all Qdrant peers that are found; of `url` only the scheme is used."""


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `collector-db`. Each target's key is the name of its entity."""

    postgres: dict[str, PostgresTarget] = {}
    """PostgreSQL servers, by name."""

    pgbouncer: dict[str, PgbouncerTarget] = {}
    """PgBouncers, by name."""

    redis: dict[str, RedisTarget] = {}
    """Redis and Valkey servers and sentinels, by name."""

    qdrant: dict[str, QdrantTarget] = {}
    """Qdrant peers, by name."""

    coherency: dict[str, CoherencyTarget] = {}
    """Tables and collections that should hold the same keys, by the name of the comparison."""

    discovery: DiscoveryConfig | None = None
    """Databases to discover on the stream. null: poll only those named here."""

    local: bool = False
    """Whether to poll the servers of this machine: as the user that runs this, without a password. One that refuses
    that, or is full, is shown with this cause. They are detected once, at the start. `kgents up` sets it."""

    def faults(self) -> Iterator[Fault]:
        places: dict[tuple[str, str], list[str]] = {}
        for backend, group in self.targets().items():
            for name, target in group.items():
                places.setdefault((target.namespace, name), []).append(f"{backend}.{name}")
                if not _NAME.match(name):
                    expected = 'a name of letters, digits, "-" and "_"'
                    yield Fault(f"{backend}.{name}", expected, f'"{name}"', "rename it")
        for first, *others in places.values():
            for other in others:
                beside = (f"{first}.namespace", f"{other}.namespace")
                found = f"that of {first}"
                yield Fault(other, "a target of its own name", found, "rename one, or give it a namespace", beside)
        for name, comparison in self.coherency.items():
            for backend, server in (("postgres", comparison.postgres), ("qdrant", comparison.qdrant)):
                if server not in getattr(self, backend):
                    known = ", ".join(getattr(self, backend)) or "none"
                    expected, found = f"a name under {backend}", f'"{server}"'
                    yield Fault(f"coherency.{name}.{backend}", expected, found, f"known: {known}", (backend,))

    def targets(self) -> dict[str, Mapping[str, Target]]:
        """The targets by backend and name, comparisons among them."""
        groups = {each.name: getattr(self, each.name) for each in structs.fields(type(self))}
        return {backend: group for backend, group in groups.items() if isinstance(group, dict)}

    def servers(self) -> dict[str, Mapping[str, Target]]:
        """The targets that are servers."""
        return {backend: group for backend, group in self.targets().items() if backend != "coherency"}
