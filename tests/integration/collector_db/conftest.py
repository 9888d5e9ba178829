"""A PostgreSQL of its own for each test that wants one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.postgres_server import PostgresServer


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    async with PostgresServer(tmp_path / "pg") as server:
        yield server
