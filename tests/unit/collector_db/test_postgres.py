"""Mapping of PostgreSQL samples that a real server cannot be made to return."""

from datetime import datetime
from typing import Any

import pytest
from msgspec import structs

from kgents_collector_db.mapping.postgres.freshness import Freshness, freshness
from kgents_collector_db.mapping.postgres.rates import Span, busiest
from kgents_collector_db.mapping.postgres.replication import lag
from kgents_collector_db.mapping.postgres.sample import (
    Activity,
    Archiver,
    Blocked,
    Database,
    Identity,
    PostgresSample,
    Sender,
    Settings,
    Slot,
    Standby,
    Statement,
    Statements,
)
from kgents_shared.contract.codec import encode
from support.postgres_samples import START, at, database, identity, observed, pulse, sample

pytestmark = pytest.mark.unit


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


def test_span_between_two_servers_is_void() -> None:
    assert Span(sample(0), sample(10, identity(10, started=at(5)))).seconds is None
