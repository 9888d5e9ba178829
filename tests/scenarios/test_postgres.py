"""PostgreSQL: what keeps clients from their work is an alert that ends with its cause; a busy or idle one is calm."""

from collections.abc import Callable
from typing import Any

import pytest

from kgents_collector_db.mapping import postgres
from kgents_collector_db.mapping.postgres.freshness import Freshness, freshness
from kgents_collector_db.mapping.postgres.obstacle_rows import Commit, Limit, Subscription
from kgents_collector_db.mapping.postgres.primaries import Primaries
from kgents_collector_db.mapping.postgres.sample import Blocked, PostgresSample, Sender, Standby, Tables
from support.story import Story, critical, warning
from support.story_database import answers, at, identity, primary

pytestmark = pytest.mark.scenarios

ORDERS = "database orders"
Sample = Callable[[float], PostgresSample]


def orders(**fields: Any) -> Any:
    """A primary with these sections; one that is a function is of the time."""

    def sample(at_s: float) -> PostgresSample:
        return primary(at_s, **{name: each(at_s) if callable(each) else each for name, each in fields.items()})

    return answers("orders", postgres.observe, sample)


def replica(
    at_s: float, before: Freshness | None, *, received: int, silent_since_s: float
) -> tuple[PostgresSample, Freshness | None]:
    row = Standby(
        status="streaming", msg_age_s=0.1, sender_host="db-0", sender_port=5432, received=received, replayed=1000,
        since_last_xact_s=at_s - silent_since_s, paused=received > 1000, apply_delay_s=0.0, has_upstream=True,
    )  # fmt: skip
    who = identity(at_s, in_recovery=True)
    now = freshness(before, who, row)
    return primary(at_s, identity=who, standby=row, fresh_at=now.fresh_at if now else None), now


def test_silence_of_an_idle_primary_is_no_lag_when_replay_is_paused_for_two_minutes() -> None:
    """The last commit is an hour old when the first one that is not replayed arrives."""
    proofs: list[Freshness | None] = [None]

    def polled(received: int) -> Sample:
        def sample(at_s: float) -> PostgresSample:
            if at_s == 0:  # the story begins, maybe once more
                proofs[:] = [None]
            found, proof = replica(at_s, proofs[-1], received=received, silent_since_s=-3600.0)
            proofs.append(proof)
            return found

        return sample

    story = Story()
    story.at("0s", answers("orders", postgres.observe, polled(1000)))
    story.at("6m", answers("orders", postgres.observe, polled(2000)))
    story.at("8m", answers("orders", postgres.observe, polled(1000)))
    story.expect(warning("KG-307", ORDERS, "6m30s", "8m20s"), until="20m")


def queue(count: int, wait_s: float) -> tuple[Blocked, ...]:
    root = Blocked(1, "pgbench", "active", "", wait_s, at(0), None, [])
    return (root, *(Blocked(n, "pgbench", "active", "tuple", 1.0, at(0), wait_s, [1]) for n in range(2, count + 2)))


def test_thirty_clients_that_queue_for_one_row_are_a_busy_server() -> None:
    story = Story()
    story.at("0s", orders(blocking=queue(29, 0.045)))
    story.expect(until="30m")


def test_clients_behind_a_forgotten_transaction_are_critical_until_it_ends() -> None:
    story = Story()
    story.at("0s", orders(blocking=()))
    story.at("5m", orders(blocking=lambda at_s: queue(25, at_s - 300.0)))
    story.at("10m", orders(blocking=()))
    story.expect(
        critical("KG-303", ORDERS, "5m20s", "10m20s"),
        warning("KG-302", ORDERS, "5m40s", "6m10s"),
        critical("KG-302", ORDERS, "6m10s", "10m20s"),
        until="30m",
    )


FOLLOWER = Sender("replica", "streaming", "sync", 0, None, None, None, None)


def waiting(since_s: float) -> Callable[[float], tuple[Commit, ...]]:
    return lambda at_s: tuple(Commit(pid, at(since_s), at_s - since_s) for pid in (1, 2, 3))


def test_a_lost_synchronous_standby_is_critical_and_over_when_it_is_back() -> None:
    story = Story()
    story.at("0s", orders(senders=(FOLLOWER,), commits=()))
    story.at("5m", orders(senders=(), commits=waiting(300.0)))
    story.at("10m", orders(senders=(FOLLOWER,), commits=()))
    story.expect(
        warning("KG-344", ORDERS, "5m20s", "5m30s"),
        critical("KG-344", ORDERS, "5m30s", "10m20s"),
        warning("KG-350", ORDERS, "6m10s", "10m20s"),
        until="30m",
    )


def test_long_statements_that_are_met_while_they_commit_do_not_hang() -> None:
    """Each waits for milliseconds: another session at every poll, whose statement ran for an hour."""
    story = Story()
    story.at(
        "0s",
        orders(commits=lambda at_s: (Commit(round(at_s), at(at_s - 3600.0), 3600.0),) if at_s % 20 < 10 else ()),
    )
    story.expect(until="30m")


def test_a_standby_that_restarts_is_not_lost() -> None:
    story = Story()
    story.at("0s", orders(senders=(FOLLOWER,)))
    story.at("5m", orders(senders=()))
    story.at("5m40s", orders(senders=(FOLLOWER,)))
    story.expect(until="30m")


def test_a_switch_over_that_makes_the_server_read_only_for_a_moment_is_no_alert() -> None:
    def set_to(value: bool) -> Callable[[float], Any]:
        return lambda at_s: identity(at_s, is_read_only=value)

    story = Story()
    story.at("0s", orders(identity=set_to(value=False)))
    story.at("5m", orders(identity=set_to(value=True)))
    story.at("5m10s", orders(identity=set_to(value=False)))
    story.at("10m", orders(identity=set_to(value=True)))
    story.at("20m", orders(identity=set_to(value=False)))
    story.expect(critical("KG-345", ORDERS, "10m10s", "20m20s"), until="30m")


def test_a_table_that_was_read_before_its_vacuum_counts_once() -> None:
    """Its database has its next turn ten minutes later."""

    def tables(read_s: float, ratio: float) -> dict[str, Tables]:
        return {"shop": Tables(1, 10_000, 0, ratio, 0, 0, 0, at(read_s))}

    story = Story()
    for number in range(3):
        story.at(number * 600, orders(tables=tables(number * 600.0, 0.8 if number == 1 else 0.1)))
    story.expect(until="40m")


def test_a_section_that_is_refused_is_unknown_until_it_is_read_again() -> None:
    story = Story()
    story.at("0s", orders())
    story.at("5m", orders(unread=frozenset({"databases"})))
    story.at("15m", orders())
    story.expect(warning("KG-347", ORDERS, "5m10s", "15m"), until="30m")


def test_a_subscription_that_meets_a_conflict_is_critical_and_a_disabled_one_is_not() -> None:
    def subscribed(*, errors: int = 0, enabled: bool = True, age_s: float | None = 1.0) -> tuple[Subscription, ...]:
        return (Subscription(1, "s", enabled, False, errors, age_s),)

    story = Story()
    story.at("0s", orders(subscriptions=subscribed()))
    story.at("5m", orders(subscriptions=lambda at_s: subscribed(errors=round(at_s / 5))))
    story.at("10m", orders(subscriptions=subscribed(errors=120)))
    story.at("15m", orders(subscriptions=subscribed(errors=120, enabled=False, age_s=None)))
    story.expect(critical("KG-348", ORDERS, "5m10s", "10m20s"), until="30m")


def test_a_role_whose_pool_is_as_large_as_its_limit_is_a_warning_at_most() -> None:
    story = Story()
    story.at("0s", orders(limits=(Limit("role", "app", 20, 5),)))
    story.at("5m", orders(limits=(Limit("role", "app", 20, 20),)))
    story.at("10m", orders(limits=()))  # the limit was removed
    story.expect(warning("KG-352", ORDERS, "5m10s", "10m"), until="30m")


def test_a_failover_is_no_split_brain_and_two_writable_primaries_are() -> None:
    primaries = Primaries()

    def server(name: str, *, started_s: float, in_recovery: bool = False) -> Any:
        def sample(at_s: float) -> PostgresSample:
            return primary(at_s, identity=identity(at_s, started=at(started_s), in_recovery=in_recovery))

        return answers(name, primaries.observe, sample)

    story = Story()
    story.at("0s", server("db-0", started_s=-100), server("db-1", started_s=-50, in_recovery=True))
    story.at("5m", server("db-0", started_s=300, in_recovery=True), server("db-1", started_s=-50))
    story.at("10m", server("db-0", started_s=600))
    story.at("20m", server("db-0", started_s=1200, in_recovery=True))
    story.expect(
        critical("KG-349", "database db-0", "10m10s", "20m"),
        critical("KG-349", "database db-1", "10m10s", "20m20s"),
        until="30m",
    )
