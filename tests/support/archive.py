"""An archive in a real PostgreSQL, what it holds, and an archiver on a bus."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from kgents_archiver.app import SERVICE, run
from kgents_archiver.config import Config
from kgents_archiver.store.database import Database
from kgents_archiver.store.migrate import migrate
from kgents_archiver.store.partitions import SIGNALS
from kgents_archiver.store.reading import Found, Reader
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import Secret
from kgents_shared.bus.outbox import Outbox
from kgents_shared.contract.archive import StateRequest, Stored, VersionsRequest
from kgents_shared.contract.streams import NAME_BY_SIGNAL, StreamsConfig
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.runtime.sections import TelemetryConfig
from kgents_shared.runtime.service import Context
from kgents_shared.runtime.telemetry import Telemetry
from support.postgres_server import PostgresServer
from support.running import running
from support.streams import stored
from support.waiting import eventually

R = TypeVar("R", StateRequest, VersionsRequest)

EVER = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def config_of(server: PostgresServer, **settings: Any) -> Config:
    return Config(
        **{
            "host": "127.0.0.1", "port": server.port, "user": "archive", "password": Secret("secret"),
            "database": "kgents", "migrate": "auto", **settings,
        }
    )  # fmt: skip


async def make_database(server: PostgresServer) -> None:
    """As a README's reader would: a role without other rights, which owns a database."""
    await server.sql("create role archive login password 'secret'")
    await server.sql("create database kgents owner archive")


@asynccontextmanager
async def open_database(config: Config, *, migrated: bool = True) -> AsyncIterator[Database]:
    database = Database(config)
    try:
        if migrated:
            await migrate(database)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def archiving(
    bus: Bus, config: Config, directory: Path, streams: StreamsConfig | None = None
) -> AsyncIterator[Context[Config]]:
    """An archiver in this process; it holds no lease, so there may be several."""
    telemetry = Telemetry(TelemetryConfig(), service=SERVICE.name, version="0", instance="one")
    common = CommonConfig(cluster="test", instance="one", streams=streams or StreamsConfig())
    with Outbox(directory / "archiver.outbox") as outbox:
        context = Context(SERVICE, common, config, bus, telemetry, outbox)
        async with running(context.publisher.run(), run(context)):
            yield context


async def archived(database: Database, signal: str) -> list[Stored]:
    """All versions of a signal."""
    return (await versions(database, signal)).messages


async def versions(
    database: Database, signal: str, since: datetime = EVER[0], until: datetime = EVER[1], **asked: Any
) -> Found:
    """All pages of the versions of a signal as one."""
    request = VersionsRequest(signal=signal, since=since, until=until, **asked)
    return await whole(Reader(database).versions, request)


async def state_at(database: Database, signal: str, moment: datetime, **asked: Any) -> Found:
    """All pages of the state of a signal as one."""
    return await whole(Reader(database).state, StateRequest(signal=signal, at=moment, **asked))


async def whole(ask: Callable[[R], Awaitable[Found]], request: R) -> Found:
    """All pages of an answer."""
    found = await ask(request)
    messages, next_ = list(found.messages), found.next
    while next_:
        page = await ask(replace(request, after=next_))
        messages += page.messages
        next_ = page.next
    return replace(found, messages=messages, next="")


async def is_level(bus: Bus, database: Database, *signals: str) -> bool:
    """Whether the archive has read the streams up to their ends."""
    for signal in signals or SIGNALS:
        found = await stored(bus, NAME_BY_SIGNAL[signal])
        async with database.snapshot() as connection:
            seq = await connection.fetchval(
                "select seq from kgents.epoch where stream = $1 order by id desc limit 1", NAME_BY_SIGNAL[signal]
            )
        if seq is None or (found and seq < found[-1].seq):
            return False
    return True


async def until_level(bus: Bus, database: Database, *signals: str) -> None:
    await eventually(lambda: is_level(bus, database, *signals), within_s=60)
