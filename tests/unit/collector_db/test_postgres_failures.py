"""What an error of a PostgreSQL server or of its answer says of the server."""

import ssl

import asyncpg  # type: ignore[import-untyped]
import pytest

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.postgres.sample import (
    Lock,
)
from kgents_collector_db.source.postgres.failure import of_connecting
from kgents_collector_db.source.postgres.poll import Poll
from kgents_shared.runtime.clock import SystemClock
from support.postgres_samples import TARGET, identity


def error_of(kind: type[Exception], routine: str = "", text: str = "in welcher Sprache auch immer") -> Exception:
    error = kind(text)
    error.server_source_function = routine  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (error_of(asyncpg.TooManyConnectionsError, "InitializeSessionUserId"), ("degraded", "own limit")),
        (error_of(asyncpg.TooManyConnectionsError, "CheckMyDatabase"), ("degraded", "own limit")),
        (error_of(asyncpg.TooManyConnectionsError, "InitProcess"), ("overloaded", "saturated")),
        (error_of(asyncpg.TooManyConnectionsError, "InitPostgres"), ("overloaded", "saturated")),
        (error_of(asyncpg.CannotConnectNowError), ("starting", "starting")),
        (
            error_of(asyncpg.CannotConnectNowError, text="the database system is starting up"),
            ("starting", "starting"),
        ),
        (
            error_of(asyncpg.CannotConnectNowError, text="the database system is shutting down"),
            ("failing", "refused"),
        ),
        (error_of(asyncpg.ProtocolViolationError), ("degraded", "pooler")),
        (error_of(asyncpg.InsufficientPrivilegeError), ("degraded", "missing privilege")),
        (error_of(asyncpg.OutOfMemoryError), ("failing", "refused")),
        (error_of(asyncpg.UndefinedFunctionError), ("degraded", "unreadable")),
        (AttributeError("server_version"), ("failing", "refused")),
        (OSError(113, "No route to host"), ("failing", "unreachable")),
        (OSError(f"Multiple exceptions: [Errno 111] {('::1', 5432)}, [Errno 111] …"), ("failing", "refused")),
        (OSError(f"Multiple exceptions: [Errno 113] {('::1', 5432)}, [Errno 110] …"), ("failing", "unreachable")),
        (ConnectionResetError(104, "Connection reset by peer"), ("failing", "refused")),
        (asyncpg.ConnectionDoesNotExistError("closed"), ("failing", "refused")),
        (ssl.SSLCertVerificationError("bad"), ("degraded", "tls")),
        (ValueError("anything"), ("failing", "refused")),
    ],
)
def test_failure_to_connect_has_its_phase_and_cause(error: Exception, expected: tuple[str, str]) -> None:
    unreachable = of_connecting(error, TARGET)
    assert (unreachable.phase, unreachable.cause) == expected
    assert ("nothing listens" in unreachable.text) == ("Errno 111" in str(error))
    assert "expected" in unreachable.text
    assert "found" in unreachable.text


def test_an_answer_of_another_shape_costs_its_own_section_alone() -> None:
    poll = Poll(TARGET, SystemClock(), {})
    assert poll.converted("locks", [{"mode": None, "granted": True, "n": 1}], tuple[Lock, ...]) is None
    assert poll.converted("locks", [{"mode": "A", "granted": True, "n": 1}], tuple[Lock, ...]) == (Lock("A", True, 1),)
    unreachable = poll.unreachable(Unreachable("failing", "refused", ""), None)
    assert unreachable.faults == ()
    (fault,) = poll.sample(identity(), {}, "absent").faults
    assert fault.startswith("locks: the server's answer has an unknown form")
