"""The files of `migrations` → the tables, each once, under a lock that also holds behind a pooler."""

import hashlib
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import msgspec

from kgents_archiver.store.database import LOCK_TIMEOUT, Database, rows
from kgents_shared.contract.errors import ConfigError

LOCK: Final = 0x6B67656E7473  # any number that only we take
COMMAND: Final = "kgents archive migrate"

_TABLE: Final = """
create schema if not exists kgents;
create table if not exists kgents.schema_migrations (
    version integer primary key,
    name text not null,
    sha256 text not null,
    applied_at timestamptz not null default now(),
    applied_by text not null default current_user
);
"""


class Migration(msgspec.Struct, frozen=True):
    """One change of the tables."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Of its text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


class Applied(msgspec.Struct, frozen=True):
    """A change that a database has."""

    version: int
    name: str
    sha256: str
    applied_at: datetime


class Schema(msgspec.Struct, frozen=True):
    """What a database has, and what it lacks."""

    applied: tuple[Applied, ...]
    pending: tuple[Migration, ...]

    def faults(self) -> list[str]:
        """Why this program must not write to it, though nothing is pending; mostly empty."""
        known = {each.version: each for each in migrations()}
        found = []
        for each in self.applied:
            if (ours := known.get(each.version)) is None:
                found.append(
                    f"expected tables of version {max(known)} at most, found {each.version} ({each.name}); "
                    "try: the archiver that made them, or a later one"
                )
            elif ours.sha256 != each.sha256:
                found.append(
                    f"expected migration {each.version} as released, found another text applied on "
                    f"{each.applied_at:%Y-%m-%d}; try: the archiver that applied it"
                )
        return found


def migrations() -> list[Migration]:
    """All there are, in their order."""
    found = []
    for file in files("kgents_archiver.store.migrations").iterdir():
        version, _, name = file.name.removesuffix(".sql").partition("_")
        if file.name.endswith(".sql"):
            found.append(Migration(int(version), name, file.read_text("utf-8")))
    return sorted(found, key=lambda each: each.version)


async def schema(database: Database) -> Schema:
    """What the database has.

    Raises:
        ArchiveError: it cannot be asked.
    """
    async with database.snapshot() as connection:
        return await _schema(connection)


async def require(database: Database) -> None:
    """Refuse tables that are not those of this program.

    Raises:
        ConfigError: they are not; the text says what to do.
        ArchiveError: the database cannot be asked.
    """
    found = await schema(database)
    if faults := found.faults():
        raise ConfigError(faults)
    if found.pending:
        last = found.applied[-1].version if found.applied else "none"
        raise ConfigError(
            [f"expected tables of version {found.pending[-1].version}, found {last}; try: {COMMAND}"],
        )


async def migrate(database: Database) -> list[Migration]:
    """Apply what is pending, each in a transaction of its own; returns what was applied.

    Several at once apply each change once. A change that fails leaves nothing of itself, and those before it stay.

    Raises:
        ConfigError: the tables are of a later version, or of a text that was never released.
        ArchiveError: the server refused, or cannot be reached.
    """
    applied: list[Migration] = []
    while True:
        async with database.connection() as connection, connection.transaction():
            await connection.execute("set local statement_timeout = 0")
            await connection.fetchval("select pg_advisory_xact_lock($1)", LOCK)
            await connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
            await connection.execute(_TABLE)
            found = await _schema(connection)
            if faults := found.faults():
                raise ConfigError(faults)
            if not found.pending:
                return applied
            each = found.pending[0]
            await connection.execute(each.sql)
            await connection.execute(
                "insert into kgents.schema_migrations (version, name, sha256) values ($1, $2, $3)",
                each.version, each.name, each.sha256,
            )  # fmt: skip
            applied.append(each)


async def _schema(connection: "asyncpg.Connection[Any]") -> Schema:
    if await connection.fetchval("select to_regclass('kgents.schema_migrations')") is None:
        return Schema((), tuple(migrations()))
    found = await rows(
        connection, "select version, name, sha256, applied_at from kgents.schema_migrations order by version"
    )
    applied = tuple(Applied(*row) for row in found)
    known = {each.version for each in applied}
    return Schema(applied, tuple(each for each in migrations() if each.version not in known))
