"""PostgresCluster: a PostgreSQL server, its pooler and its backups, as a person asks for them. Pure."""

from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta, Struct

from kgents_operator.resources.backup import Backup
from kgents_operator.resources.part import Part, Rule
from kgents_operator.resources.server import Resources, ServerSpec, ServerStatus, Storage, measured

PORT: Final = 5432
POOLER_PORT: Final = 6432


class Pooler(Part, frozen=True):
    """PgBouncer, between applications and the server."""

    enabled: bool = True
    pool_mode: Annotated[
        Literal["session", "transaction", "statement"],
        Meta(description="For how long a client keeps its connection to the server; statement forbids transactions."),
    ] = "transaction"
    max_connections: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Clients of each PgBouncer at a time; not connections to the server."),
    ] = 100


class Backups(Backup, frozen=True):
    """Dumps of the database by a CronJob, and what a restore to any moment needs."""

    rules: ClassVar[tuple[Rule, ...]] = (
        *Backup.rules,
        Rule(
            "!has(self.archive) || !self.archive || (has(self.enabled) && self.enabled)",
            "an archive needs an enabled backup: what is archived is of use only after a base backup",
        ),
    )

    archive: Annotated[
        bool,
        Meta(
            description="A base backup beside each dump, and every change since the oldest one that is kept. The "
            "server mounts the claim, too: one that several machines can mount. Of CloudNativePG it is not taken."
        ),
    ] = False


class Metrics(Part, frozen=True):
    """An exporter for Prometheus beside the server. collector-db needs none: it finds the server by its label."""

    rules: ClassVar[tuple[Rule, ...]] = measured(PORT)

    enabled: bool = True
    port: Annotated[int, Meta(ge=1024, le=65535)] = 9187


class Spec(ServerSpec, frozen=True, kw_only=True):
    """What is asked for. Passwords are no part of it: they are in Secrets, made once."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.database == oldSelf.database",
            "the database cannot change: make another PostgresCluster and restore a dump into it",
        ),
        Rule(
            "!has(self.version) || !has(oldSelf.version) || self.version == oldSelf.version",
            "the major version cannot change: make another PostgresCluster and restore a dump into it",
        ),
        Rule(
            "!(self.database in ['postgres', 'template0', 'template1'])",
            "the database is one of PostgreSQL's own: choose another name",
        ),
    )

    database: Annotated[
        str,
        Meta(
            max_length=63,
            pattern="^[a-z_][a-z0-9_]*$",
            description="The database, and the role that owns it. It cannot change.",
        ),
    ]
    version: Annotated[int, Meta(ge=14, le=18, description="The major version of PostgreSQL. It cannot change.")] = 17
    replicas: Annotated[
        int, Meta(ge=1, le=3, description="Above 1 it is a Cluster of CloudNativePG, whose operator must be installed.")
    ] = 1
    storage: Storage = Storage()
    resources: Annotated[Resources, Meta(description="Of the server; shared_buffers is a quarter of its memory.")] = (
        Resources()
    )
    pooler: Pooler = Pooler()
    backup: Backups = Backups()
    metrics: Metrics = Metrics()


class Connections(Part, frozen=True):
    """Connections to the server, from its pulses."""

    active: int | None = None
    idle: int | None = None
    waiting: Annotated[int, Meta(description="Clients that wait for a connection of the pooler.")] | None = None


class Status(ServerStatus, frozen=True):
    """What was found. Figures are those of the stream; absent: not known."""

    backend: Annotated[Literal["builtin", "cnpg"], Meta(description="Who runs the server.")] | None = None
    pooler_endpoint: str | None = None
    connections: Connections | None = None


class PostgresCluster(Struct, frozen=True):
    """What is read of a resource; its metadata are those of every object."""

    spec: Spec
