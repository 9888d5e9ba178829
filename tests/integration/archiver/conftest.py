import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kgents_archiver.config import Config
from kgents_archiver.store.database import Database
from support.archive import config_of, make_database, open_database
from support.fixtures import bus, server  # noqa: F401 - fixtures
from support.nats_server import NatsServer
from support.postgres_server import PostgresServer


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    async with PostgresServer(tmp_path / "postgres", statements=False) as postgres:
        await make_database(postgres)
        yield postgres


@pytest.fixture
def config(postgres: PostgresServer) -> Config:
    return config_of(postgres)


@pytest.fixture
async def database(config: Config) -> AsyncIterator[Database]:
    async with open_database(config) as database:
        yield database


@pytest.fixture
def file(tmp_path: Path, server: NatsServer, config: Config) -> Path:  # noqa: F811 - the fixture
    """A configuration with this archive and this NATS."""
    (tmp_path / "password").write_text("secret\n")
    section = {"host": config.host, "port": config.port, "user": config.user, "database": config.database}
    section |= {"password_file": str(tmp_path / "password")}
    path = tmp_path / "kgents.yaml"
    path.write_text(json.dumps({"nats": {"url": server.url}, "archiver": section}))
    return path
