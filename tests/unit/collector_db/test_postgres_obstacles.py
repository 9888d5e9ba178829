"""What keeps PostgreSQL's clients from their work: the cases that a real server cannot be made to show in a test."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from kgents_collector_db.mapping import postgres
from kgents_collector_db.mapping.facts import Scope, Unreachable
from kgents_collector_db.mapping.postgres.obstacle_rows import Subscription, TempFiles
from kgents_collector_db.mapping.postgres.primaries import Primaries
from kgents_collector_db.mapping.postgres.sample import Database, Messages, PostgresSample, Sender, Slot
from kgents_collector_db.source.postgres.server_log import ServerLog
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import DatabasePulse
from support.story_database import at, identity, primary, slot
from support.vocabulary import declared

pytestmark = pytest.mark.unit

MIB = 1024**2


def observed(previous: PostgresSample | None, current: PostgresSample, published: Facts | None = None) -> Facts:
    entities = {entity.ref: entity for entity in (published.entities if published else [])}
    return declared(postgres.observe(previous, current, Scope("c1", "orders", "", 10.0, current.at, entities)))


def pulse(facts: Facts) -> DatabasePulse:
    (found,) = facts.pulses
    assert isinstance(found, DatabasePulse)
    return found


PLAIN = "2026-01-01 00:00:00.000 UTC [1] "
CSV = '2026-01-01 00:00:00.000 UTC,"app","shop",1,"[local]",6,1,"INSERT",2026-01-01 00:00:00 UTC,3/4,0,'


@pytest.mark.parametrize(
    ("name", "lines", "found"),
    [
        ("x.log", [f'{PLAIN}ERROR:  could not extend file "base/5/1": No space left on device'], (1, 0)),
        ("x.log", [f"{PLAIN}FATAL:  sorry, too many clients already"], (0, 1)),
        ("x.log", [f'{PLAIN}FATAL:  too many connections for role "app"'], (0, 1)),
        ("x.log", [f"{PLAIN}FATAL:  remaining connection slots are reserved for roles with SUPERUSER"], (0, 1)),
        ("x.log", [f"{PLAIN}LOG:  statement: select 'ERROR:  x: No space left on device"], (0, 0)),
        ("x.log", [f"{PLAIN}STATEMENT:  select 'FATAL:  sorry, too many clients already"], (0, 0)),
        ("x.log", [f'{PLAIN}FATAL:  password authentication failed for user "app"'], (0, 0)),
        ("x.csv", [f'{CSV}ERROR,53100,"konnte Datei nicht erweitern"', f'{CSV}FATAL,53300,"zu viele"'], (1, 1)),
        ("x.csv", [f'{CSV}ERROR,42P01,"relation does not exist"'], (0, 0)),
        ("x.json", ['{"timestamp":"x","error_severity":"PANIC","state_code":"53100","message":"m"}'], (1, 0)),
    ],
)
def test_causes_are_counted_by_their_code_or_by_their_english_words(
    tmp_path: Path, name: str, lines: list[str], found: tuple[int, int]
) -> None:
    path = tmp_path / name
    path.touch()
    log = ServerLog(str(path))
    log.read()
    path.write_text("".join(f"{line}\n" for line in lines))
    counted = log.read()
    log.close()
    assert counted is not None
    assert (counted.disk_full, counted.rejected_logins) == found


def logged(at_s: float, errors: int, *, commits: int) -> PostgresSample:
    zeros: dict[str, Any] = {
        name: 0 for name in Database.__struct_fields__ if name not in ("datname", "is_guestless", "stats_reset")
    }
    row = Database(
        **{**zeros, "oid": 1, "datname": "shop", "is_guestless": False, "stats_reset": None, "xact_commit": commits}
    )
    return primary(at_s, messages=Messages({"error": errors, "fatal": 0}, 0, 0, 0), databases=(row,))


@pytest.mark.parametrize(("errors", "commits", "ratio"), [(9, 9, None), (10, 40, 0.25), (30, 0, 1.0)])
def test_errors_are_a_share_of_the_transactions_unless_they_are_few(
    errors: int, commits: int, ratio: float | None
) -> None:
    figures = pulse(observed(logged(0, 100, commits=100), logged(10, 100 + errors, commits=100 + commits))).custom
    assert figures.get("postgres_log_error_ratio") == ratio
    assert ("postgres_log_error_ratio" in figures) == (errors >= 10)


@pytest.mark.parametrize(
    ("fields", "fails"),
    [
        ({}, 0.0),
        ({"msg_age_s": None}, 1.0),
        ({"msg_age_s": 34.0}, 0.0),  # an idle publisher: half of wal_receiver_timeout may pass
        ({"msg_age_s": 36.0}, 1.0),
        ({"errors": 3}, 1.0),
        ({"is_enabled": False, "msg_age_s": None}, 0.0),
        ({"is_enabled": False, "msg_age_s": None, "stops_on_error": True, "errors": 1}, 1.0),
    ],
)
def test_a_subscription_fails_unless_an_operator_disabled_it(fields: dict[str, Any], fails: float) -> None:
    row = Subscription(1, "s", True, False, 0, 1.0)
    figures = pulse(
        observed(
            primary(0, subscriptions=(row,)),
            primary(10, subscriptions=(structs.replace(row, **fields),)),
        )
    )
    assert figures.custom["postgres_subscriptions_failing"] == fails


def test_a_standby_of_a_subscriber_runs_no_subscription() -> None:
    row = Subscription(1, "s", True, False, 0, None)
    figures = pulse(observed(None, primary(0, identity=identity(0, in_recovery=True), subscriptions=(row,)))).custom
    assert "postgres_subscriptions_failing" not in figures


def test_temporary_files_are_compared_with_the_databases_if_these_are_large() -> None:
    small = pulse(observed(None, primary(0, temp_files=TempFiles(64 * MIB), sizes={"shop": 8 * MIB})))
    large = pulse(observed(None, primary(0, temp_files=TempFiles(512 * MIB), sizes={"shop": 1024 * MIB})))
    unknown = pulse(observed(None, primary(0, temp_files=TempFiles(512 * MIB))))
    ratios = [each.custom["postgres_temp_files_ratio"] for each in (small, large, unknown)]
    assert ratios == [0.25, 0.5, None]


IDLE = slot(active=False)


@pytest.mark.parametrize(
    ("before", "now", "in_recovery", "is_idle"),
    [
        (IDLE, IDLE, False, True),
        (slot(), IDLE, False, False),  # its reader may be back at the next poll
        (IDLE, slot(), False, False),
        (IDLE, slot(active=False, wal_status="lost"), False, False),  # a finding of its own
        (IDLE, IDLE, True, False),  # a copy for the day of a promotion
    ],
)
def test_a_slot_is_idle_on_a_primary_from_the_second_poll_without_a_reader(
    before: Slot, now: Slot, in_recovery: bool, is_idle: bool
) -> None:
    def sample(at_s: float, row: Slot) -> PostgresSample:
        return primary(at_s, slots=(row,), identity=identity(at_s, in_recovery=in_recovery))

    first = observed(None, sample(0, before))
    figures = pulse(observed(sample(0, before), sample(10, now), first)).replication
    assert ("slot_idle_s" in figures) == is_idle


def test_a_slot_stays_idle_since_the_same_moment_whatever_the_delay_of_a_poll() -> None:
    first = observed(None, primary(0, slots=(slot(active=False, inactive_s=100.0),)))
    later = observed(None, primary(60, slots=(slot(active=False, inactive_s=160.4),)), first)
    used_between = observed(None, primary(500, slots=(slot(active=False, inactive_s=5.0),)), later)
    assert first.entities == later.entities
    assert pulse(later).replication["slot_idle_s"] == 160
    assert pulse(used_between).replication["slot_idle_s"] == 5


FOLLOWER = Sender("replica", "streaming", "async", 0, None, None, None, None)


def test_a_missing_standby_is_not_known_while_standbys_cannot_be_read_and_another_database_has_none() -> None:
    first = observed(None, primary(0, senders=(FOLLOWER, FOLLOWER)))
    fewer = observed(None, primary(10, senders=(FOLLOWER,)), first)
    unread = observed(None, primary(20), fewer)
    again = observed(None, primary(80, senders=(FOLLOWER,)), unread)
    replaced = observed(None, primary(90, senders=(), system_id="8"), again)
    assert pulse(fewer).replication["standbys_missing"] == 1
    assert pulse(unread).replication["standby_missing_s"] is None
    assert pulse(again).replication["standby_missing_s"] == 70
    assert "standby_missing_s" not in pulse(replaced).replication


def test_only_primaries_that_are_polled_now_and_in_the_same_namespace_are_a_split_brain() -> None:
    primaries = Primaries()

    def poll(name: str, at_s: float, *, namespace: str = "", **fields: Any) -> float | None:
        sample = primary(at_s, identity=identity(at_s, started=at(sum(map(ord, name)))), **fields)
        if "unreachable" in fields:
            sample = structs.replace(sample, identity=None)
        scope = Scope("c1", name, namespace, 10.0, at(at_s), {})
        return pulse(primaries.observe(None, sample, scope)).replication.get("writable_primaries")

    assert poll("a", 0) == 1
    assert poll("copy", 0, namespace="test") == 1
    assert poll("other", 0, system_id="8") == 1
    assert poll("b", 1) == 2
    poll("a", 2, unreachable=Unreachable("failing", "refused", ""))
    assert poll("b", 3) == 1
    assert poll("a", 4) == 2
    assert poll("b", 4 + timedelta(minutes=5).total_seconds()) == 1  # a is no target any more
