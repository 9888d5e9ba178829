"""Mapping of PostgreSQL samples that a real server cannot be made to return."""

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from msgspec import structs

from kgents_collector_db.mapping import postgres
from kgents_collector_db.mapping.facts import Scope, Unreachable
from kgents_collector_db.mapping.postgres.freshness import Freshness, freshness
from kgents_collector_db.mapping.postgres.rates import Span, busiest
from kgents_collector_db.mapping.postgres.replication import lag
from kgents_collector_db.mapping.postgres.sample import (
    Activity,
    Archiver,
    Blocked,
    Database,
    Identity,
    Lock,
    PostgresSample,
    Sender,
    Settings,
    Slot,
    Standby,
    Statement,
    Statements,
)
from kgents_collector_db.source.postgres.failure import of_connecting
from kgents_collector_db.source.postgres.poll import Poll
from kgents_collector_db.source.postgres.server_log import READ_BYTES, ServerLog
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_shared.contract.codec import encode
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import DatabasePulse
from kgents_shared.runtime.clock import SystemClock
from support.vocabulary import declared

pytestmark = pytest.mark.unit

START = datetime(2026, 1, 1, tzinfo=UTC)
TARGET = PostgresTarget(host="db", user="kgents")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def identity(seconds: float = 0, **fields: Any) -> Identity:
    given = {
        "now": at(seconds), "version_num": 150018, "version": "15.18 (Debian)", "in_recovery": False, "started": START,
        "backend_pid": 1, "max_connections": 100, "superuser_reserved": 3, "reserved": 0, "sees_all": True,
        "own_sessions": 1, "server_addr": "10.0.0.7", "server_port": 5432, "freeze_max_age": 200_000_000,
        "multixact_freeze_max_age": 400_000_000, "receiver_timeout_s": 60.0, "archive_mode": "off",
        **fields,
    }  # fmt: skip
    return Identity(**given)


def database(name: str = "shop", **fields: Any) -> Database:
    counters = {
        field: 0 for field in Database.__struct_fields__ if field not in ("datname", "is_guestless", "stats_reset")
    }
    names = {"oid": sum(name.encode()), "datname": name, "is_guestless": False, "stats_reset": None}
    return Database(**{**counters, **names, **fields})


def sample(seconds: float = 0, who: Identity | None = None, **fields: Any) -> PostgresSample:
    return PostgresSample(
        at=at(seconds), address="db:5432", connections=1, system_id="7", identity=who or identity(seconds), **fields
    )


def observed(previous: PostgresSample | None, current: PostgresSample, published: Facts | None = None) -> Facts:
    entities = {entity.ref: entity for entity in (published.entities if published else [])}
    return declared(postgres.observe(previous, current, Scope("c1", "orders", "shop", 10.0, current.at, entities)))


def pulse(facts: Facts) -> DatabasePulse:
    (found,) = facts.pulses
    assert isinstance(found, DatabasePulse)
    return found


def commits(*numbers: int, reset: datetime | None = None) -> tuple[Database, ...]:
    return tuple(database(f"d{i}", xact_commit=number, stats_reset=reset) for i, number in enumerate(numbers))


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (sample(0, databases=commits(10, 20)), sample(10, databases=commits(60, 70)), 10.0),
        (sample(0, databases=commits(10)), sample(10, databases=commits(10, 50)), 5.0),  # made since
        (sample(0, databases=commits(10, 20)), sample(10, databases=commits(60)), 5.0),  # dropped since
        (sample(0, databases=commits(10)), sample(10, databases=commits(5)), None),  # counter was reset
        (sample(0, databases=commits(10)), sample(10, databases=commits(60, reset=at(5))), None),
        (sample(0, databases=commits(10)), sample(10, identity(10, started=at(5)), databases=commits(60)), None),
        (sample(0, databases=commits(10)), sample(0, databases=commits(60)), None),
        (sample(0), sample(10, databases=commits(60)), None),
        (sample(0, databases=commits(10)), sample(10), None),
    ],
)
def test_rate_is_that_of_the_time_between_or_it_is_not_known(
    before: PostgresSample, now: PostgresSample, expected: float | None
) -> None:
    assert pulse(observed(before, now)).performance["tps"] == expected


def statements(seconds: float, *rows: tuple[int, int, float], dealloc: int = 0) -> Statements:
    return Statements(at(seconds), START, dealloc, START, tuple(Statement(1, 2, *row, rows=0) for row in rows))


def test_first_use_of_a_database_is_no_reset_of_its_statistics() -> None:
    """Before PostgreSQL 15 they are there from then on, and so is the time of their reset."""
    facts = observed(sample(0, databases=commits(10, 0)), sample(10, databases=(*commits(20), *used_since(at(5)))))
    assert pulse(facts).performance["tps"] == 6
    assert facts.events == []


def used_since(when: datetime) -> tuple[Database, ...]:
    return (database("d1", xact_commit=50, stats_reset=when),)


def test_busiest_statements_are_those_of_the_time_between() -> None:
    before = statements(0, (11, 1_000_000, 9e9), (12, 5, 100.0))
    now = statements(10, (11, 1_000_000, 9e9), (12, 15, 1100.0), (13, 2, 500.0))
    assert busiest(sample(statements=now, statements_before=before), 5) == [(12, 1.0, 0.1), (13, 0.2, 0.05)]


@pytest.mark.parametrize(
    "now", [statements(10, (12, 9, 9.0), dealloc=1), structs.replace(statements(10), started=at(1))]
)
def test_busiest_statements_are_not_known_across_an_eviction_or_a_restart(now: Statements) -> None:
    assert busiest(sample(statements=now, statements_before=statements(0, (12, 5, 1.0))), 5) == []


def standby(seconds: float = 0, **fields: Any) -> PostgresSample:
    given = {
        "status": "streaming", "msg_age_s": 1.0, "sender_host": "10.0.0.7", "sender_port": 5432, "received": 500,
        "replayed": 500, "since_last_xact_s": 3600.0, "paused": False, "apply_delay_s": 0.0,
        "has_upstream": True, **fields,
    }  # fmt: skip
    who, row = identity(seconds, in_recovery=True), Standby(**given)
    return sample(seconds, who, standby=row, fresh_at=fresh_at(who, row))


def fresh_at(who: Identity, row: Standby, before: Freshness | None = None) -> datetime | None:
    found = freshness(before, who, row)
    return found.fresh_at if found is not None else None


def lags(*polls: PostgresSample) -> list[float | None]:
    """The lag in seconds at each of these polls of one standby."""
    before, found = None, []
    for each in polls:
        assert each.identity is not None
        assert each.standby is not None
        before = freshness(before, each.identity, each.standby)
        seen = structs.replace(each, fresh_at=before.fresh_at if before is not None else None)
        found.append(pulse(observed(None, seen)).replication["lag_s"])
    return found


@pytest.mark.parametrize(
    ("fields", "primary", "expected"),
    [
        ({}, None, (True, 0, 0.0)),  # idle for an hour, and up to date
        ({}, 700, (True, 200, 0.0)),
        ({"received": 800}, None, (True, 300, 3600.0)),
        (
            {"status": None, "msg_age_s": None},
            None,
            (False, None, None),
        ),  # all received WAL is replayed: no proof of being up to date
        ({"status": None, "msg_age_s": None}, 314_000_500, (False, 314_000_000, None)),
        ({"msg_age_s": 50.0}, None, (False, None, None)),  # the socket is open, and no message arrives
        ({"status": "waiting"}, None, (False, None, None)),
        ({}, 400, (True, 0, 0.0)),  # the primary was polled before the standby
    ],
)
def test_lag_is_known_only_over_a_link_that_lives(
    fields: dict[str, Any], primary: int | None, expected: tuple[bool, int | None, float | None]
) -> None:
    found = lag(standby(**fields), primary)
    assert found is not None
    assert (found.link_up, found.bytes, found.seconds) == expected


def test_lag_is_at_most_the_time_since_a_poll_whose_wal_is_replayed() -> None:
    """During a transaction of one hour no commit arrives, and the standby keeps up."""
    before = standby(received=700, replayed=600)
    assert lags(before, standby(10, received=900, replayed=700)) == [3600, 10]
    assert lags(before, standby(10, received=900, replayed=699)) == [3600, 3600]


def test_silence_of_an_idle_primary_is_no_lag_when_replay_stops() -> None:
    idle = [standby(0, since_last_xact_s=360.0), standby(10, since_last_xact_s=370.0)]
    paused = [standby(t, received=900, since_last_xact_s=360.0 + t) for t in (20, 30, 40, 390)]
    assert lags(*idle, *paused) == [0, 0, 10, 20, 30, 380]


def test_a_cut_link_proves_nothing_and_a_standby_that_was_made_again_starts_over() -> None:
    cut = standby(10, status=None, msg_age_s=None, received=500, replayed=500)
    behind = standby(60, received=900, replayed=500, since_last_xact_s=3660.0)
    assert lags(standby(), cut, behind) == [0, None, 60]
    again = standby(70, received=400, replayed=300, since_last_xact_s=5000.0)
    assert lags(standby(), again) == [0, 5000]


def test_server_that_replays_an_archive_has_no_link_that_can_be_down() -> None:
    figures = pulse(observed(None, standby(status=None, msg_age_s=None, has_upstream=False)))
    assert (figures.phase, figures.cause) == ("healthy", "")
    assert "link_down_s" not in figures.replication


def test_attributes_of_an_unread_section_stay_published() -> None:
    seen = sample(
        databases=(database(),),
        senders=(Sender("a", "streaming", "async", 0, None, None, None, None),),
        slots=(Slot("s", "physical", True, "reserved", None, None, 1, None, None, None, None),),
        settings=Settings(0, "on", "off", 1, 2),
    )
    first = observed(None, seen)
    assert encode(observed(seen, sample(10), first).entities[0]) == encode(first.entities[0])
    gone = observed(seen, sample(10, databases=(), senders=(), slots=()), first).entities[0]
    assert "kgents.postgresql.standbys" not in gone.attributes


def test_waiting_for_older_transactions_to_end_is_normal_work() -> None:
    root = Blocked(1, "pg_dump", "active", "", 7300.0, START, None, [])
    index = Blocked(2, "psql", "active", "virtualxid", 7200.0, START, 7200.0, [1])
    facts = observed(None, sample(blocking=(root, index)))
    assert pulse(facts).phase == "healthy"
    assert pulse(facts).custom["postgres_blocked_seconds"] == 0
    assert facts.events == []
    stuck = structs.replace(index, wait_event="relation")
    assert [event.reason for event in observed(None, sample(blocking=(root, stuck))).events] == ["SessionsBlocked"]


def test_waiting_to_be_elected_is_normal_work_and_what_waits_behind_it_is_not() -> None:
    leader = Blocked(1, "worker-0", "idle", "", None, None, None, [])
    candidates = [
        Blocked(pid, f"worker-{pid}", "active", "advisory", 7200.0, START, 7200.0, [1]) for pid in range(2, 9)
    ]
    facts = observed(None, sample(blocking=(leader, *candidates)))
    figures = pulse(facts)
    assert figures.phase == "healthy"
    assert (figures.custom["postgres_blocked_sessions"], figures.custom["postgres_blocked_seconds"]) == (0, 0)
    assert figures.custom["postgres_blocking_roots"] == 0
    assert figures.custom["postgres_advisory_waiting_sessions"] == 7
    assert figures.custom["postgres_advisory_waiting_seconds"] == 7200
    assert [(event.reason, event.severity) for event in facts.events] == [("SessionsBlocked", "info")]
    user = Blocked(20, "web", "active", "transactionid", 40.0, START, 40.0, [2])
    facts = observed(None, sample(blocking=(leader, *candidates, user)))
    figures = pulse(facts)
    assert (figures.phase, figures.cause) == ("degraded", "blocked sessions")
    assert (figures.custom["postgres_blocked_sessions"], figures.custom["postgres_blocked_seconds"]) == (1, 40)
    assert figures.custom["postgres_blocking_roots"] == 1
    assert [(event.reason, event.severity) for event in facts.events] == [("SessionsBlocked", "warning")]


def test_our_own_transactions_are_not_the_databases_work() -> None:
    figures = pulse(observed(
        sample(0, databases=commits(100), own_transactions=40),
        sample(10, databases=commits(160), own_transactions=60),
    ))  # fmt: skip
    assert figures.performance["tps"] == figures.custom["postgres_transaction_rate"] == 4
    few = pulse(observed(
        sample(0, databases=commits(100), own_transactions=40),
        sample(10, databases=commits(110), own_transactions=60),
    ))  # fmt: skip
    assert few.performance["tps"] == 0


def test_clock_of_the_primary_ahead_of_the_standbys_makes_no_lag_below_zero() -> None:
    found = lag(standby(received=20, replayed=10, since_last_xact_s=-0.5), None)
    assert found is not None
    assert found.seconds == 0


def test_wal_that_a_slot_retains_is_compared_with_max_wal_size() -> None:
    slot = Slot("s", "physical", False, "extended", None, None, 12 * 1024**3, None, None, None, None)
    figures = pulse(observed(None, sample(slots=(slot,), settings=Settings(0, "on", "off", 1, 1024**3))))
    assert figures.replication["slot_retained_ratio"] == 12


def test_loss_of_one_of_two_standbys_of_one_name_is_noticed() -> None:
    one = Sender("walreceiver", "streaming", "async", 0, None, None, None, None)
    facts = observed(sample(senders=(one, one)), sample(10, senders=(one,)))
    assert [event.reason for event in facts.events] == ["StandbyLost"]


@pytest.mark.parametrize(
    ("mode", "in_recovery", "expected"), [("on", False, 1.0), ("on", True, None), ("always", True, 1.0)]
)
def test_archiving_is_checked_only_where_it_is_enabled(mode: str, in_recovery: bool, expected: float | None) -> None:
    who = identity(archive_mode=mode, in_recovery=in_recovery)
    facts = observed(sample(archiver=Archiver(5, 0, 60.0, None)), sample(10, who, archiver=Archiver(5, 1, 60.0, 5.0)))
    assert pulse(facts).custom.get("postgres_archiving_failing") == expected


def test_renamed_database_keeps_its_counters() -> None:
    facts = observed(
        sample(databases=(database("blue", oid=1, deadlocks=5000, xact_commit=10**9),)),
        sample(10, databases=(database("green", oid=1, deadlocks=5000, xact_commit=10**9 + 50),)),
    )
    assert pulse(facts).performance["tps"] == 5
    assert facts.events == []


def test_time_since_the_link_went_down_outlives_a_restart_of_the_collector() -> None:
    cut = standby(status=None, msg_age_s=None)
    first = observed(None, cut)
    later = observed(None, structs.replace(cut, at=at(90)), first)
    assert pulse(later).replication["link_down_s"] == 90
    assert later.entities == first.entities


def test_standby_without_reported_lag_has_no_lag_only_if_it_is_not_behind() -> None:
    idle = Sender("a", "streaming", "async", 0, None, None, None, None)
    behind = Sender("b", "streaming", "async", 5000, None, None, None, None)
    assert pulse(observed(None, sample(senders=(idle,)))).replication["standby_lag_s"] == 0
    assert pulse(observed(None, sample(senders=(behind,)))).replication["standby_lag_s"] is None


def test_vacuum_horizon_is_reported_by_holder() -> None:
    figures = pulse(
        observed(
            None,
            sample(
                activity=(Activity("client backend", "active", "", 1, 0, 5.0, 5.0, None, 1000),),
                senders=(Sender("a", "streaming", "async", 0, None, None, None, 2000),),
                slots=(Slot("s", "logical", True, "reserved", None, None, 1, 3000, 4000, None, None),),
                databases=(database(xid_age=1_500_000_000, mxid_age=10),),
            ),
        )
    ).custom
    assert figures["postgres_xmin_age_sessions"] == 1000
    assert figures["postgres_xmin_age_standbys"] == 2000
    assert figures["postgres_xmin_age_slots"] == 3000
    assert figures["postgres_catalog_xmin_age_slots"] == 4000
    assert figures["postgres_wraparound_ratio"] == 0.75
    assert figures["postgres_freeze_ratio"] == 7.5


def test_another_database_under_the_same_name_is_an_event() -> None:
    first = observed(None, sample())
    second = observed(sample(), structs.replace(sample(10), system_id="8"), first)
    assert [event.reason for event in second.events] == ["Replaced"]
    assert second.entities[0].uid == "8"


def test_restart_while_the_collector_was_down_is_one_event() -> None:
    first = observed(None, sample())
    restarted = sample(60, identity(60, started=at(50)))
    second = observed(None, restarted, first)
    assert [event.reason for event in second.events] == ["Restarted"]
    assert observed(restarted, restarted, second).events == []


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


@pytest.mark.parametrize(
    ("suffix", "line"),
    [
        (".log", "2026-01-01 00:00:00.000 UTC [1] app@shop ERROR:  division by zero"),
        (".csv", '2026-01-01 00:00:00.000 UTC,"app","shop",1,"[local]",6,1,"SELECT",2026-01-01,3/2,0,ERROR,22012,"x"'),
        (".json", '{"timestamp":"2026-01-01","error_severity":"ERROR","message":"division by zero"}'),
    ],
)
def test_log_is_counted_in_every_format_and_half_a_line_with_its_other_half(
    tmp_path: Path, suffix: str, line: str
) -> None:
    path = tmp_path / f"postgresql{suffix}"
    path.write_text(f"{line}\n" * 7)
    log = ServerLog(str(path))
    first = log.read()
    assert first is not None
    assert first.by_severity["error"] == 0
    with path.open("a") as file:
        file.write(f"{line}\n{line[:60]}")
        file.flush()
        one = log.read()
        file.write(f"{line[60:]}\n")
        file.flush()
        two = log.read()
    log.close()
    assert one is not None
    assert two is not None
    assert (one.by_severity["error"], two.by_severity["error"]) == (1, 2)


def test_log_gone_wild_is_read_in_part_and_that_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "postgresql.log"
    path.touch()
    log = ServerLog(str(tmp_path))
    log.read()
    path.write_bytes(b"x" * (3 * READ_BYTES) + b"\n 1 FATAL:  enough\n")
    found = log.read()
    log.close()
    assert found is not None
    assert found.by_severity["fatal"] == 1
    assert found.skipped_bytes > READ_BYTES


def test_only_what_a_line_is_counts_and_not_what_it_quotes(tmp_path: Path) -> None:
    path = tmp_path / "postgresql.log"
    path.touch()
    log = ServerLog(str(path))
    log.read()
    path.write_text(
        "2026-01-01 00:00:00 UTC [1] LOG:  statement: select 'ERROR:  no'\n"
        "\tFATAL:  still that statement\n"
        "2026-01-01 00:00:00 UTC [1] app@shop ERROR:  relation does not exist\n"
        "2026-01-01 00:00:00 UTC [1] app@shop STATEMENT:  select 'PANIC:  no'\n"
    )
    found = log.read()
    log.close()
    assert found is not None
    assert found.by_severity == {"warning": 0, "error": 1, "fatal": 0, "panic": 0}


def test_files_written_side_by_side_or_again_next_week_are_read_from_where_they_ended(tmp_path: Path) -> None:
    error = "2026-01-01 00:00:00 UTC [1] ERROR:  no\n"
    monday, tuesday = tmp_path / "postgresql-Mon.log", tmp_path / "postgresql-Tue.log"
    for path in (monday, tuesday):
        path.write_text(error * 5)
    log = ServerLog(str(tmp_path))
    counted = []
    for turn, path in enumerate((monday, tuesday, monday, tuesday, tuesday)):
        with path.open("a") as file:
            file.write(error * turn)
        os.utime(path, (turn, 2e9 + turn))
        found = log.read()
        assert found is not None
        counted.append(found.by_severity["error"])
    log.close()
    assert counted == [0, 1, 3, 6, 10]


def test_an_answer_of_another_shape_costs_its_own_section_alone() -> None:
    poll = Poll(TARGET, SystemClock(), {})
    assert poll.converted("locks", [{"mode": None, "granted": True, "n": 1}], tuple[Lock, ...]) is None
    assert poll.converted("locks", [{"mode": "A", "granted": True, "n": 1}], tuple[Lock, ...]) == (Lock("A", True, 1),)
    unreachable = poll.unreachable(Unreachable("failing", "refused", ""), None)
    assert unreachable.faults == ()
    (fault,) = poll.sample(identity(), {}, "absent").faults
    assert fault.startswith("locks: the server's answer has an unknown form")


def test_span_between_two_servers_is_void() -> None:
    assert Span(sample(0), sample(10, identity(10, started=at(5)))).seconds is None
