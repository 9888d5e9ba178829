"""The commands of the runbook for databases are understood by these databases."""

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest

from support.pgbouncer_server import PgbouncerServer
from support.postgres_server import PASSWORD, PostgresServer
from support.programs import need
from support.redis_server import RedisServer
from support.runbook import PAGES, of_tool, statements

MISUNDERSTOOD = frozenset({"42601", "42703", "42883", "42P01", "42P02", "22023", "42704"})
"""SQLSTATE: a syntax error; a column, function, table, parameter, setting that does not exist."""
EXAMPLES = ("shop.orders", '"app"', '"kgents"', "slot", "prepared transaction", "tablespace")
"""What the runbook names as an example: its absence is no mistake."""
OF_POSTGRES = {check: found for check, page in PAGES.items() if (found := statements(page))}
OF_REDIS = {check: words for check, page in PAGES.items() if (words := of_tool(page, "redis-cli"))}
FLAGS = {"-h", "-p"}
WITH_SUBCOMMANDS = {"ACL", "CLIENT", "CLUSTER", "CONFIG", "FUNCTION", "MEMORY", "SCRIPT"}


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    async with PostgresServer(tmp_path / "postgres") as server:
        yield server


async def test_postgresql_understands_each_statement(postgres: PostgresServer) -> None:
    """One connection for each, since some end their session; without a transaction, as in psql."""
    refused = []
    for check, found in OF_POSTGRES.items():
        for statement in found:
            connection = await postgres.connect()
            try:
                await connection.execute(statement)
            except asyncpg.PostgresError as error:
                named = any(each in str(error) for each in EXAMPLES)
                if error.sqlstate in MISUNDERSTOOD and not named:
                    refused.append((check, statement, str(error)))
            finally:
                await connection.close()
    assert refused == []
    assert len(OF_POSTGRES) > 30


async def test_redis_knows_each_command_and_setting(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis") as server:
        lists = {check: [of_server(words) for words in found] for check, found in OF_REDIS.items()}
        unknown = [
            (check, words)
            for check, found in lists.items()
            for words in found
            if words and not server.cli("COMMAND", "INFO", name_of(words)).strip()
        ]
        settings = {words[2] for found in lists.values() for words in found if words[:1] == ["CONFIG"]}
        missing = [each for each in settings if not server.cli("CONFIG", "GET", each).strip()]
    assert (unknown, missing) == ([], [])
    assert len(OF_REDIS) > 20


def of_server(words: list[str]) -> list[str]:
    """What redis-cli sends to the server; nothing for what it does by itself, and what only a Sentinel knows."""
    rest = words[1:]
    while rest and rest[0] in FLAGS:
        rest = rest[2:]
    return [] if not rest or rest[0].startswith("--") or rest[0] == "SENTINEL" else rest


def name_of(words: list[str]) -> str:
    """As COMMAND INFO has it: `config|get`."""
    return "|".join(words[: 2 if words[0] in WITH_SUBCOMMANDS else 1]).lower()


async def test_pgbouncer_answers_each_command(postgres: PostgresServer, tmp_path: Path) -> None:
    asked = {words[-1] for page in PAGES.values() for words in of_tool(page, "psql") if "pgbouncer" in words}
    async with PgbouncerServer(tmp_path / "pgbouncer", postgres, admin_users="kgents") as pooler:
        for each in sorted(asked - {"RESUME"}):
            server = ["-h", "127.0.0.1", "-p", str(pooler.port), "-U", "kgents", "pgbouncer"]
            done = subprocess.run(
                [str(need("psql")), *server, "-c", each], env={**os.environ, "PGPASSWORD": PASSWORD},
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, (each, done.stderr)
    assert len(asked) > 4
