"""Database servers of this machine: sockets and usual ports → Detected, and the targets that `local` collects."""

from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from kgents_shared.contract.address import join
from kgents_shared.runtime.detect import PROBE_S, Detected, answer, listens, socket_problem

POSTGRES_SOCKETS: Final = Path("/var/run/postgresql")
POSTGRES_TCP: Final = ("127.0.0.1", 5432)
REDIS: Final = ("127.0.0.1", 6379)
QDRANT: Final = ("127.0.0.1", 6333)
_QDRANT_ITSELF: Final = b"qdrant - vector search engine"
"""What it answers at `/`, also without a key."""
_QDRANT_REFUSALS: Final = (b"Must provide an API key", b"Invalid api-key", b"Invalid API key")
"""Without a key; early versions answer so at `/` too."""


def postgres_ports() -> list[int]:
    """The ports of the servers with a unix socket in POSTGRES_SOCKETS, running or not."""
    numbers = (path.suffix.removeprefix(".") for path in POSTGRES_SOCKETS.glob(".s.PGSQL.*"))  # and lock files
    return sorted(int(number) for number in numbers if number.isdecimal())


def detect(_: Mapping[str, str]) -> list[Detected]:
    """The servers that are collected without configuration.

    One that does not let this user in is shown with that cause: it is there, and more is not known.
    """
    return [_postgres(), _redis(), _qdrant()]


def _postgres() -> Detected:
    paths = [POSTGRES_SOCKETS / f".s.PGSQL.{port}" for port in postgres_ports()]
    problems = {path: problem for path in paths if (problem := socket_problem(path)) is not None}
    if open_ := [str(path) for path, problem in problems.items() if not problem]:
        return Detected("PostgreSQL", ", ".join(open_))
    needs = "a target under `postgres` in the section collector-db"
    if problems:
        path, problem = next(iter(problems.items()))
        return Detected("PostgreSQL", str(path), problem, needs, is_shown=True)
    if listens(*POSTGRES_TCP):
        return Detected("PostgreSQL", join(*POSTGRES_TCP), f"it has no socket in {POSTGRES_SOCKETS}", needs)
    return Detected("PostgreSQL", needs=f"a server with a socket in {POSTGRES_SOCKETS}, or {needs}")


def _redis() -> Detected:
    where, needs = join(*REDIS), "a target under `redis` in the section collector-db"
    if not listens(*REDIS):
        return Detected("Redis", needs=f"a server on {where}, or {needs}")
    if answer(*REDIS, b"PING\r\n").startswith((b"-NOAUTH", b"-NOPERM", b"-DENIED")):
        return Detected("Redis", where, "it requires a password", needs, is_shown=True)
    return Detected("Redis", where)


def wants_qdrant_key() -> bool:
    """Whether a Qdrant is there that requires an API key. Any program may answer 401: it is known by its words."""
    status, refusal = _asked("/collections")
    if status not in (401, 403):
        return False
    return refusal.startswith(_QDRANT_REFUSALS) or _QDRANT_ITSELF in _asked("/")[1]


def _qdrant() -> Detected:
    where, needs = join(*QDRANT), "a target under `qdrant` in the section collector-db"
    if not listens(*QDRANT):
        return Detected("Qdrant", needs=f"a server on {where}, or {needs}")
    if wants_qdrant_key():
        return Detected("Qdrant", where, "it requires an API key", needs, is_shown=True)
    return Detected("Qdrant", where)


def _asked(path: str) -> tuple[int, bytes]:
    """Status and beginning of the answer; 0: none in time."""
    connection = HTTPConnection(*QDRANT, timeout=PROBE_S)
    try:
        connection.request("GET", path)
        found = connection.getresponse()
        return found.status, found.read(512)
    except (OSError, HTTPException):
        return 0, b""
    finally:
        connection.close()
